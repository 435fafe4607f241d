// SPDX-License-Identifier: Apache-2.0
'use strict';

const assert = require('node:assert/strict');
const { EventEmitter, once } = require('node:events');
const fs = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');
const { PassThrough, Readable } = require('node:stream');
const { after, before, beforeEach, test } = require('node:test');

const { Gateway } = require('./gateway.cjs');

/** @typedef {import('./gateway.cjs').Call} Call */
/** @typedef {import('./gateway.cjs').Reply} Reply */

// Packages of the SDK's form, as small as they can be: what is tested is what the shim gives them.
const CLIENT = `
globalThis.loaded = true;
class Client {
    constructor() {
        this.config = { requestHandler: {}, requestChecksumCalculation: async () => 'WHEN_SUPPORTED', endpoint: async () => ({ protocol: 'real:', hostname: 'real' }) };
        this.middlewareStack = { applyToStack() {} };
    }
    async send(command) {
        globalThis.sent.push([command.constructor.name, command.input]);
        return globalThis.answer(command);
    }
}
class ServiceException extends Error {}
class S3ServiceException extends ServiceException {
}
class S3Client extends Client {}
exports.S3ServiceException = S3ServiceException;
exports.S3Client = S3Client;
exports.ChecksumAlgorithm = { CRC32: 'CRC32' };
for (const name of ['PutObject', 'CreateMultipartUpload', 'UploadPart', 'CompleteMultipartUpload', 'AbortMultipartUpload']) {
    exports[name + 'Command'] = { [name + 'Command']: class { constructor(input) { this.input = input; } } }[name + 'Command'];
}
var de_CommandError, known = ["x-amz-checksum-crc32"];
`;
const STORAGE = `
const sdk = require("@aws-sdk/client-s3");
const { getEndpointFromInstructions } = require("@smithy/core/endpoints");
const { extendedEncodeURIComponent } = require("@smithy/core/protocols");
const { EventEmitter } = require("events");
class Upload extends EventEmitter {
    constructor({ client, params, partSize, queueSize = 4, leavePartsOnError = false }) {
        super();
        Object.assign(this, { client, params, partSize, queueSize, leavePartsOnError, parts: [], aborted: false });
    }
    async abort() { this.aborted = true; }
    async done() {
        const parts = this.cut();
        const workers = await Promise.allSettled(Array.from({ length: this.queueSize }, () => this.work(parts)));
        const failed = workers.find(({ status }) => status === 'rejected');
        if (failed || this.aborted) {
            await this.giveUp();
            throw failed ? failed.reason : new Error('Upload aborted.');
        }
        if (this.result) { return this.result; }
        this.parts.sort((a, b) => a.PartNumber - b.PartNumber);
        try {
            return await this.client.send(new sdk.CompleteMultipartUploadCommand({ ...this.params, Body: undefined, UploadId: this.uploadId, MultipartUpload: { Parts: this.parts } }));
        } catch (error) {
            await this.giveUp();
            throw error;
        }
    }
    async *cut() {
        let [data, number] = [Buffer.alloc(0), 0];
        for await (const piece of this.params.Body) {
            data = Buffer.concat([data, piece]);
            for (; data.length > this.partSize; data = data.subarray(this.partSize)) { yield { number: (number += 1), data: data.subarray(0, this.partSize) }; }
        }
        yield { number: number + 1, data, last: true };
    }
    async work(parts) {
        for await (const { number, data, last } of parts) {
            if (this.aborted) { return; }
            if (number === 1 && last) { return this.put(data); }
            const calculation = await this.client.config.requestChecksumCalculation();
            this.created ??= this.client.send(new sdk.CreateMultipartUploadCommand({ ...this.params, Body: undefined, ChecksumAlgorithm: calculation && sdk.ChecksumAlgorithm.CRC32 }));
            this.uploadId = (await this.created).UploadId;
            if (this.client.config.requestHandler instanceof EventEmitter) { throw new Error('of a browser'); }
            const { ETag, ChecksumCRC32 } = await this.client.send(new sdk.UploadPartCommand({ ...this.params, ContentLength: undefined, UploadId: this.uploadId, Body: data, PartNumber: number }));
            this.parts.push({ PartNumber: number, ETag, ...(ChecksumCRC32 && { ChecksumCRC32 }) });
            this.emit('part', number);
        }
    }
    async put(Body) {
        const clientConfig = this.client.config;
        const [stored, endpoint] = await Promise.all([this.client.send(new sdk.PutObjectCommand({ ...this.params, Body })), clientConfig?.endpoint?.()]);
        const { protocol, hostname } = endpoint ?? await getEndpointFromInstructions(this.params, sdk.PutObjectCommand, { ...clientConfig });
        this.result = { ...stored, Location: protocol + '//' + hostname + '/' + this.client.config.forcePathStyle + '/' + extendedEncodeURIComponent(this.params.Key) };
    }
    async giveUp() {
        if (this.uploadId && !this.leavePartsOnError) { await this.client.send(new sdk.AbortMultipartUploadCommand({ Bucket: this.params.Bucket, Key: this.params.Key, UploadId: this.uploadId })); }
    }
}
exports.Upload = Upload;
`;

/** @type {any} */
const shared = globalThis;
const gateway = new Gateway();
let install = 0;

before(async () => {
  await gateway.start();
  process.env['AWS_REGION'] = 'r';
  require('../register.cjs');
});

beforeEach(() => {
  gateway.asked = [];
  gateway.answer = store;
  shared.sent = [];
  shared.answer = () => ({});
  delete shared.loaded;
});

after(() => gateway.stop());

/**
 * Packages that were not loaded before.
 * @param {string} [text] of the one for uploads
 */
function packages(text = STORAGE) {
  const modules = path.join(gateway.folder, `${(install += 1)}`, 'node_modules');
  for (const [name, version, main] of /** @type {const} */ ([
    ['@aws-sdk/client-s3', '3.750.0', CLIENT],
    ['@aws-sdk/lib-storage', '3.750.0', text],
    ['@smithy/smithy-client', '4.0.0', ''],
    ['@smithy/core', '4.0.0', "exports.other = () => 'the true one';"],
  ])) {
    fs.mkdirSync(path.join(modules, name, 'dist-cjs'), { recursive: true });
    fs.writeFileSync(path.join(modules, name, 'package.json'), JSON.stringify({ name, version, main: 'dist-cjs/index.js' }));
    fs.writeFileSync(path.join(modules, name, 'dist-cjs/index.js'), main);
  }
  fs.writeFileSync(path.join(modules, '@smithy/core/endpoints.js'), '');
  fs.writeFileSync(path.join(modules, '@smithy/core/protocols.js'), '');
  const find = createRequire(path.join(modules, 'program.js'));
  const { S3Client } = find('@aws-sdk/client-s3');
  const { Upload, other } = find('@aws-sdk/lib-storage');
  return { client: new S3Client({}), Upload, other };
}

/**
 * The number of the part that a call is about.
 * @param {{ target: string }} call
 */
function partOf({ target }) {
  return new URLSearchParams(target.split('?')[1]).get('partNumber');
}

/**
 * What a store says.
 * @param {Call} call
 * @returns {Reply}
 */
function store({ operation, target, headers }) {
  const number = partOf({ target });
  switch (operation) {
    case 'PutObject':
      return { headers: { etag: '"whole"' } };
    case 'CreateMultipartUpload':
      return { body: '<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>' };
    case 'UploadPart':
      return { headers: { etag: `"${number}"`, 'x-amz-checksum-crc32': headers['x-amz-checksum-crc32'] ?? '' } };
    case 'CompleteMultipartUpload':
      return {
        body: '\n  <CompleteMultipartUploadResult><Location>l</Location><ETag>&quot;all&quot;</ETag></CompleteMultipartUploadResult>',
      };
    default:
      return { status: 204 };
  }
}

/**
 * A store that says something else of one operation, or of one part.
 * @param {string} what
 * @param {Reply} reply
 * @returns {(call: Call) => Reply}
 */
function storeBut(what, reply) {
  return (call) => (call.operation === what || partOf(call) === what ? reply : store(call));
}

/**
 * The document of an error.
 * @param {string} code
 */
function refusal(code) {
  return `<Error><Code>${code}</Code><Message>told</Message></Error>`;
}

/** The operations that were asked of the gateway. */
function operations() {
  return gateway.asked.map((call) => `${call.operation}${partOf(call) ?? ''}`);
}

/**
 * @param {string} text
 * @param {object} [more]
 */
function make(text, more) {
  const { client, Upload } = packages();
  const params = { Bucket: 'bucket', Key: 'a/b c', Body: Readable.from([Buffer.from(text)]), ContentType: 'text/plain' };
  return new Upload({ client, params, partSize: 4, ...more });
}

test('a small stream is one call', async () => {
  const { client, Upload } = packages();
  const Body = new PassThrough();
  const done = new Upload({ client, params: { Bucket: 'bucket', Key: 'a/b c', Body }, partSize: 100 }).done();
  Body.write('some ');
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(gateway.asked, []);
  Body.end('text');
  const { ETag, Location } = await done;
  assert.deepEqual([ETag, Location], ['"whole"', 'http://169.254.170.2/undefined/a%2Fb%20c']);
  assert.deepEqual(
    [operations(), gateway.asked.map(({ body }) => body), shared.loaded],
    [['PutObject'], ['some text'], undefined],
  );
});

test('a larger one is sent in parts, some at once', async () => {
  /** @type {((reply: Reply) => void)[]} */
  const held = [];
  gateway.answer = (call) => {
    if (call.operation !== 'UploadPart') {
      return store(call);
    }
    // The first is answered only when the second is there.
    return new Promise((resolve) => {
      held.push(() => resolve(store(call)));
      if (held.length === 2) {
        gateway.answer = store;
        held.reverse().forEach((say) => say({}));
      }
    });
  };
  const { ETag, Location } = await make('one two three').done();
  assert.deepEqual([ETag, Location, shared.loaded], ['"all"', 'l', undefined]);
  const parts = gateway.asked.filter(({ operation }) => operation === 'UploadPart');
  assert.deepEqual(parts.map(({ body }) => body).sort(), ['e', 'one ', 'thre', 'two ']);
  assert.ok(
    parts.every(({ headers }) => headers['x-amz-checksum-crc32'] && headers['content-type'] === 'application/octet-stream'),
  );
  const [created, last] = [gateway.asked[0], gateway.asked.at(-1)];
  assert.deepEqual(created?.target, '/bucket/a/b%20c?uploads=');
  assert.deepEqual(created?.headers, { 'content-type': 'text/plain', 'x-amz-checksum-algorithm': 'CRC32' });
  assert.deepEqual([last?.target, last?.headers], ['/bucket/a/b%20c?uploadId=id', { 'content-type': 'application/xml' }]);
  assert.match(
    /** @type {string} */ (last?.body),
    /^<\?xml[^>]*><CompleteMultipartUpload xmlns="[^"]*"><Part><ETag>&#34;1&#34;<\/ETag><ChecksumCRC32>[^<]{8}<\/ChecksumCRC32><PartNumber>1<\/PartNumber><\/Part>.*<PartNumber>4<\/PartNumber><\/Part><\/CompleteMultipartUpload>$/,
  );
});

for (const [what, reply] of /** @type {[string, Reply][]} */ ([
  ['a failure', { status: 500 }],
  ['a throttle', { status: 503, body: refusal('SlowDown') }],
  ['a connection that ends', 'gone'],
])) {
  test(`${what} of one part is for a real client, and nothing but that part`, async () => {
    gateway.answer = storeBut('2', reply);
    shared.answer = (/** @type {any} */ { input: { PartNumber } }) => ({ ETag: `"real ${PartNumber}"` });
    const upload = make('one two three', { queueSize: 1 });
    assert.equal((await upload.done()).ETag, '"all"');
    // On connections that were used before a call is made once more.
    const parts = ['UploadPart1', 'UploadPart2', 'UploadPart3', 'UploadPart4'];
    assert.deepEqual([...new Set(operations())], ['CreateMultipartUpload', ...parts, 'CompleteMultipartUpload']);
    assert.deepEqual(
      shared.sent.map((/** @type {any} */ [name, { PartNumber, UploadId, Body }]) => [
        name,
        PartNumber,
        UploadId,
        Body.toString(),
      ]),
      [['UploadPartCommand', 2, 'id', 'two ']],
    );
    const completed = gateway.asked.at(-1)?.body ?? '';
    const tags = [...completed.matchAll(/<ETag>&#34;(.*?)&#34;<.ETag>/g)].map(([, tag]) => tag);
    assert.deepEqual(tags, ['1', 'real 2', '3', '4']);
  });
}

test('a part that is refused ends the upload, which is given up or left', async () => {
  gateway.answer = storeBut('1', { status: 403, body: refusal('AccessDenied') });
  await assert.rejects(make('one two three').done(), { name: 'AccessDenied', message: 'told' });
  assert.equal(operations().at(-1), 'AbortMultipartUpload');
  assert.equal(gateway.asked.at(-1)?.target, '/bucket/a/b%20c?x-id=AbortMultipartUpload&uploadId=id');
  gateway.asked = [];
  await assert.rejects(make('one two three', { leavePartsOnError: true }).done(), { name: 'AccessDenied' });
  assert.ok(!operations().includes('AbortMultipartUpload'));
  assert.equal(shared.loaded, undefined);
});

test('a completion that is refused is not asked for again', async () => {
  gateway.answer = storeBut('CompleteMultipartUpload', { status: 400, body: refusal('EntityTooSmall') });
  await assert.rejects(make('one two three').done(), { name: 'EntityTooSmall', message: 'told' });
  assert.equal(operations().filter((name) => name === 'CompleteMultipartUpload').length, 1);
  assert.equal(operations().at(-1), 'AbortMultipartUpload');
  assert.deepEqual(shared.sent, []);
});

test('a completion that the SDK would ask for again is for the real client', async () => {
  for (const reply of /** @type {Reply[]} */ ([
    { status: 500 },
    { status: 400, body: refusal('RequestTimeout') },
    { body: refusal('InternalError') },
    { body: '' },
    'gone',
  ])) {
    gateway.asked = [];
    shared.sent = [];
    gateway.answer = storeBut('CompleteMultipartUpload', reply);
    shared.answer = () => ({ ETag: '"real"' });
    assert.deepEqual(await make('one two').done(), { ETag: '"real"' });
    const [[name, { UploadId, MultipartUpload }], ...others] = shared.sent;
    assert.deepEqual([name, UploadId, MultipartUpload.Parts.length, others], ['CompleteMultipartUploadCommand', 'id', 2, []]);
  }
});

test('what was done and whose answer cannot be read is not asked for again', async () => {
  gateway.answer = storeBut('CompleteMultipartUpload', { body: '<a><b></a>' });
  await assert.rejects(make('one two').done(), /The answer to CompleteMultipartUpload cannot be read/);
  assert.deepEqual([operations().slice(-2), shared.sent], [['CompleteMultipartUpload', 'AbortMultipartUpload'], []]);
  gateway.asked = [];
  gateway.answer = storeBut('CreateMultipartUpload', { body: '<a><b></a>' });
  await assert.rejects(make('one two').done(), /The answer to CreateMultipartUpload cannot be read/);
  assert.deepEqual([operations(), shared.sent], [['CreateMultipartUpload'], []]);
});

test('a stream that breaks off ends the upload with its error', async () => {
  const { client, Upload } = packages();
  const parts = new EventEmitter();
  const Body = Readable.from(
    (async function* () {
      yield Buffer.from('one two three');
      await once(parts, 'answered');
      throw new RangeError('mine');
    })(),
  );
  gateway.answer = (call) => {
    if (call.operation === 'UploadPart') {
      setImmediate(() => parts.emit('answered'));
    }
    return store(call);
  };
  const upload = new Upload({ client, params: { Bucket: 'bucket', Key: 'k', Body }, partSize: 4 });
  await assert.rejects(upload.done(), { name: 'RangeError', message: 'mine' });
  assert.equal(operations().at(-1), 'AbortMultipartUpload');
});

test('an upload is aborted midway', async () => {
  const upload = make('one two three', { queueSize: 1 });
  upload.on('part', () => upload.abort());
  await assert.rejects(upload.done(), { message: 'Upload aborted.' });
  assert.deepEqual(operations(), ['CreateMultipartUpload', 'UploadPart1', 'AbortMultipartUpload']);
});

test('what only a real client can do it does from the beginning', async () => {
  shared.answer = () => ({ UploadId: 'real', ETag: '"real"' });
  for (const more of [{ SSECustomerAlgorithm: 'AES256' }, { Bucket: 'arn:aws:s3:us-east-1:1:accesspoint/a' }]) {
    const { client, Upload } = packages();
    const params = { Bucket: 'bucket', Key: 'k', Body: Readable.from([Buffer.from('one two')]), ...more };
    assert.deepEqual(await new Upload({ client, params, partSize: 4 }).done(), { UploadId: 'real', ETag: '"real"' });
  }
  assert.deepEqual(gateway.asked, []);
  process.env['AWS_MAX_ATTEMPTS'] = '2';
  const { Location } = await make('one').done();
  assert.equal(Location, 'real://real/undefined/a%2Fb%20c');
  delete process.env['AWS_MAX_ATTEMPTS'];
});

test('a package that uses what is not known is loaded with all that it needs', () => {
  const { client, Upload, other } = packages(`${STORAGE}exports.other = require("@smithy/core").other();`);
  assert.deepEqual([Upload.name, other], ['Upload', 'the true one']);
  assert.equal(new Upload({ client, params: {} }).client, client);
});
