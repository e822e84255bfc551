// CloudFront Function at viewer request: before the cache, and before any origin. docs/edge.md
import cf from 'cloudfront';
import crypto from 'crypto';

const READERS = '${readers}'; // who may read: token, or everybody

async function handler(event) {
    const request = event.request;
    const path = resolve(request.uri);
    if (path === '') {
        return { statusCode: 404, statusDescription: 'Not Found' };
    }
    if (path !== request.uri) {
        return {
            statusCode: 301,
            statusDescription: 'Moved Permanently',
            headers: { location: { value: path } },
        };
    }
    if (READERS !== 'everybody') {
        const known = await isKnown(request.headers.authorization);
        if (!known) {
            return {
                statusCode: 401,
                statusDescription: 'Unauthorized',
                headers: { 'www-authenticate': { value: 'Basic realm="packages"' } },
            };
        }
    }
    delete request.headers.authorization;
    // A page of ours that is older than a client's page of PyPI is still another page.
    delete request.headers['if-modified-since'];
    return request;
}

// Return where a path is to be looked for; nothing for what no origin is asked for.
function resolve(uri) {
    if (/^\/(packages|dumb-pypi)\//.test(uri) || uri === '/simple/constraints.txt') {
        return uri;
    }
    if (uri === '/') {
        return '/dumb-pypi/index.html';
    }
    if (/^\/+simple\/*$/.test(uri)) {
        return '/simple/';
    }
    if (/^\/pypi\/simple\/[a-z0-9-]+\/$/.test(uri)) {
        return uri;
    }
    const found = /^\/+simple\/+([^/]+)\/*$/.exec(uri);
    const name = found ? decoded(found[1]) : '';
    // PEP 503
    return /^[A-Za-z0-9._-]+$/.test(name)
        ? '/simple/' + name.toLowerCase().replace(/[-_.]+/g, '-') + '/'
        : '';
}

function decoded(text) {
    try {
        return decodeURIComponent(text);
    } catch (error) {
        return '';
    }
}

// Tell whether an Authorization header has a token that is valid now.
async function isKnown(header) {
    const sent = /^basic +([A-Za-z0-9+/]{1,400}={0,2})$/i.exec(header ? header.value : '');
    const login = /^([^:]*):(.*)$/.exec(sent ? Buffer.from(sent[1], 'base64').toString() : '');
    if (!login) {
        return false;
    }
    // Some tools send a token as the user, with an empty password.
    const token = login[2] || login[1];
    const name = token.split('.')[0];
    if (!/^[a-z0-9-]{1,64}$/.test(name)) {
        return false;
    }
    let kept = '';
    try {
        kept = await cf.kvs().get(name);
    } catch (error) {
        return false; // no token of that name, or no answer
    }
    const parts = /^([0-9a-f]{64}) ([0-9]{1,11})$/.exec(kept);
    if (!parts) {
        return false;
    }
    const digest = crypto.createHash('sha256').update(token).digest('hex');
    const end = Number(parts[2]);
    return isSame(digest, parts[1]) && (end === 0 || Date.now() < end * 1000);
}

// Compare two digests in a time that does not depend on where they differ.
function isSame(one, other) {
    let difference = 0;
    for (let i = 0; i < 64; i++) {
        difference |= one.charCodeAt(i) ^ other.charCodeAt(i);
    }
    return difference === 0;
}
