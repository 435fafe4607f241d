// SPDX-License-Identifier: Apache-2.0
'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');

const { Package } = require('../lib/facade.js');

/** @typedef {{ status: number, headers?: Record<string, string>, body: string }} Reply */

const { connect } = net;
/** @type {string[][]} */
let asked = [];
/** @type {Reply} */
let reply = { status: 200, body: '' };
/** @type {Set<net.Socket>} */
const sockets = new Set();
const gateway = net.createServer((socket) => {
  sockets.add(socket);
  socket.on('data', (data) => {
    const end = 16 + data.readUInt32LE(0);
    asked.push([...data.toString('latin1', 16, end).split('\0').slice(0, -1), data.toString('utf8', end)]);
    const { status, headers = {}, body } = reply;
    const strings = [...Object.keys(headers), '', ...Object.values(headers)];
    const head = strings.map((text) => `${text}\0`).join('');
    const message = Buffer.alloc(16);
    message.writeUInt32LE(head.length, 0);
    message.writeUInt16LE(status, 4);
    message.writeUInt32LE(Buffer.byteLength(body), 8);
    socket.write(Buffer.concat([message, Buffer.from(head + body)]));
  });
});

let folder = '';
/** @type {Record<string, string | undefined>} */
const env = { ...process.env };

/**
 * A package whose text is no more than a test needs.
 * @param {string} name
 * @param {any} service
 * @param {string} [text]
 */
function install(name, service, text = '') {
  const filename = path.join(folder, `${name}.js`);
  fs.writeFileSync(filename, text);
  return new Package(filename, 1100, service);
}

before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'libraries-'));
  gateway.listen(0, '127.0.0.1');
  await once(gateway, 'listening');
  // The gateway's address is one that only a VM has.
  net.connect = /** @type {any} */ (
    (/** @type {net.TcpNetConnectOpts} */ options) =>
      connect({ ...options, host: '127.0.0.1', port: /** @type {net.AddressInfo} */ (gateway.address()).port })
  );
  Object.keys(process.env)
    .filter((name) => name.startsWith('AWS_'))
    .forEach((name) => delete process.env[name]);
  Object.assign(process.env, {
    HOME: folder,
    AWS_ENDPOINT_URL: 'http://169.254.170.2',
    AWS_ACCESS_KEY_ID: 'placeholder',
    AWS_SECRET_ACCESS_KEY: 'placeholder',
  });
});

after(() => {
  net.connect = connect;
  process.env = env;
  sockets.forEach((socket) => socket.destroy());
  gateway.close();
  fs.rmSync(folder, { recursive: true });
});

test('the gateway signs a URL', async () => {
  const { S3Client, GetObjectCommand, PutObjectCommand } = install('client-s3', require('../lib/s3.js')).exports;
  const { getSignedUrl } = install('presigner', require('../lib/presigner.js')).exports;
  const client = new S3Client({ region: 'eu-west-1' });
  asked = [];
  reply = { status: 200, body: 'https://store/signed' };
  const put = new PutObjectCommand({ Bucket: 'bucket', Key: 'a b', ContentType: 'text/plain' });
  assert.equal(await getSignedUrl(client, put, { expiresIn: 60 }), 'https://store/signed');
  const get = new GetObjectCommand({ Bucket: 'bucket', Key: 'k', VersionId: '1' });
  assert.equal(await getSignedUrl(client, get), 'https://store/signed');
  assert.deepEqual(asked, [
    ['s3', 'eu-west-1', 'PutObject', 'PUT', '/bucket/a%20b?x-id=PutObject', 'x-nexus-presign', '60', ''],
    ['s3', 'eu-west-1', 'GetObject', 'GET', '/bucket/k?x-id=GetObject&versionId=1', 'x-nexus-presign', '900', ''],
  ]);
});

test('what the SDK would put into a URL otherwise is left to it', async () => {
  const { S3Client, PutObjectCommand } = install('client-s3', require('../lib/s3.js')).exports;
  const text = "exports.getSignedUrl = async (client, command, options) => ['real', options];";
  const { getSignedUrl } = install('presigner', require('../lib/presigner.js'), text).exports;
  asked = [];
  for (const [more, options] of [
    [{ Metadata: { a: '1' } }, {}],
    [{ Body: 'x' }, {}],
    [{ CacheControl: 'no-cache' }, {}],
    [{}, { expiresIn: 604_801 }],
    [{}, { signableHeaders: new Set() }],
  ]) {
    const put = new PutObjectCommand({ Bucket: 'bucket', Key: 'k', ...more });
    assert.deepEqual(await getSignedUrl(new S3Client({ region: 'r' }), put, options), ['real', options]);
  }
  assert.deepEqual(asked, []);
});

test('an upload of one part is one call', async () => {
  const text = '"x-amz-checksum-crc32" de_CommandError';
  const { S3Client } = install('client-s3', require('../lib/s3.js'), `// ${text}`).exports;
  const { Upload } = install('storage', require('../lib/upload.js')).exports;
  asked = [];
  reply = { status: 200, headers: { etag: '"tag"' }, body: '' };
  const upload = new Upload({
    client: new S3Client({ region: 'r' }),
    params: { Bucket: 'bucket', Key: 'a/b c', Body: 'text' },
  });
  /** @type {unknown[]} */
  const events = [];
  upload.on('httpUploadProgress', (/** @type {unknown} */ event) => events.push(event));
  const { ETag, Location, Bucket, Key } = await upload.done();
  assert.deepEqual([ETag, Location, Bucket, Key], ['"tag"', 'http://bucket.169.254.170.2/a/b%20c', 'bucket', 'a/b c']);
  assert.deepEqual(events, [{ loaded: 4, total: 4, part: 1, Key: 'a/b c', Bucket: 'bucket' }]);
  assert.deepEqual([asked.length, asked[0]?.[4], asked[0]?.at(-1)], [1, '/bucket/a/b%20c?x-id=PutObject', 'text']);
});

test('a call that was made is not made again because its answer cannot be read', async () => {
  const text = `// de_CommandError\nvar se_UpdateItemInput = (input) => {\n  return take(input, {\n    TableName: []\n  });\n}, "";\n`;
  const { DynamoDBClient, UpdateItemCommand } = install('dynamodb', require('../lib/dynamodb.js'), text).exports;
  asked = [];
  reply = { status: 200, body: '{' };
  const sent = new DynamoDBClient({ region: 'r' }).send(new UpdateItemCommand({ TableName: 't' }));
  await assert.rejects(sent, SyntaxError);
  assert.equal(asked.length, 1);
});
