// Lambda@Edge at origin request (PyPI) and origin response (the bucket). docs/edge.md
exports.handler = async (event) => {
    const { config, request, response } = event.Records[0].cf;
    if (config.eventType === 'origin-request') {
        request.uri = request.uri.replace('/pypi/', '/');
        return request;
    }
    // 404 and nothing else says that the organisation has no project of this name.
    if (response.status !== '404' || !/^\/simple\/[a-z0-9-]+\/$/.test(request.uri)) {
        return response;
    }
    return {
        status: '302',
        statusDescription: 'Found',
        headers: {
            location: [{ key: 'Location', value: '/pypi' + request.uri }],
            'cache-control': [{ key: 'Cache-Control', value: 'no-store' }],
        },
    };
};
