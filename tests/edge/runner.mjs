// Runs the edge's functions for tests/edge/cloudfront.py: a line of JSON in, a line of JSON out.
import { createInterface } from 'node:readline';

const [viewer, origin] = process.argv.slice(2);
const functions = {
    viewer: (await import(viewer)).handler,
    origin: (await import(origin)).default.handler,
};

for await (const line of createInterface({ input: process.stdin })) {
    const { which, event } = JSON.parse(line);
    let said;
    try {
        said = { result: await functions[which](event) };
    } catch (error) {
        said = { error: String(error) };
    }
    process.stdout.write(JSON.stringify(said) + '\n');
}
