// SPDX-License-Identifier: Apache-2.0
'use strict';

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');

const { Gateway, REAL } = require('./gateway.cjs');

const gateway = new Gateway();

/** What the gateway was asked. */
function strings() {
  return gateway.asked.map((call) => call.strings);
}

/** The headers of what it was asked. */
function headers() {
  return gateway.asked.map((call) => call.headers);
}

/** A package whose command is signed by the client's stack, of which it has no more than that needs. */
const SIGNER = `
exports.getSignedUrl = async (client, command, options) => {
  const request = client.request(command, options);
  await [...command.steps].reduce((next, step) => step(next), async () => {})({ request });
  return request.url;
};`;

/**
 * A command with a stack that remembers what was added to it.
 * @param {string} name
 */
function command(name) {
  /** @type {Set<Function>} */
  const steps = new Set();
  const add = (/** @type {Function} */ step) => steps.add(step);
  const kind = Object.defineProperty(class {}, 'name', { value: name });
  return Object.assign(new kind(), { steps, middlewareStack: { addRelativeTo: add, remove: steps.delete.bind(steps) } });
}

before(() => gateway.start());
after(() => gateway.stop());

test('the gateway signs a URL', async () => {
  const { S3Client, HeadObjectCommand, PutObjectCommand } = gateway.install('client-s3', require('../lib/s3.js')).exports;
  const { getSignedUrl } = gateway.install('presigner', require('../lib/presigner.js')).exports;
  const client = new S3Client({ region: 'eu-west-1' });
  gateway.asked = [];
  gateway.answer = () => ({ body: 'https://store/signed' });
  const put = new PutObjectCommand({ Bucket: 'bucket', Key: 'a b', ContentType: 'text/plain' });
  assert.equal(await getSignedUrl(client, put, { expiresIn: 60 }), 'https://store/signed');
  const get = new HeadObjectCommand({ Bucket: 'bucket', Key: 'k', VersionId: '1' });
  assert.equal(await getSignedUrl(client, get), 'https://store/signed');
  assert.deepEqual(strings(), [
    ['s3', 'eu-west-1', 'PutObject', 'PUT', '/bucket/a%20b?x-id=PutObject', 'x-nexus-presign', '60', ''],
    ['s3', 'eu-west-1', 'HeadObject', 'HEAD', '/bucket/k?versionId=1', 'x-nexus-presign', '900', ''],
  ]);
});

test('what an input says is in a URL where the SDK has it', async () => {
  const { S3Client, GetObjectCommand, PutObjectCommand } = gateway.install('client-s3', require('../lib/s3.js')).exports;
  const { getSignedUrl } = gateway.install('presigner', require('../lib/presigner.js')).exports;
  const client = new S3Client({ region: 'r' });
  gateway.asked = [];
  gateway.answer = () => ({ body: 'signed' });
  const said = { CacheControl: 'no-cache', ContentDisposition: 'inline', Metadata: { A: '1' }, ServerSideEncryption: 'AES256' };
  await getSignedUrl(client, new PutObjectCommand({ Bucket: 'bucket', Key: 'k', Tagging: 'a=b', ...said }));
  await getSignedUrl(client, new GetObjectCommand({ Bucket: 'bucket', Key: 'k', Range: 'bytes=0-1' }));
  assert.deepEqual(headers(), [
    {
      'content-disposition': 'inline',
      'x-amz-meta-a': '1',
      'x-amz-server-side-encryption': 'AES256',
      'x-amz-tagging': 'a=b',
      'x-nexus-presign': '900',
      'x-nexus-presign-query': 'x-amz-tagging;x-amz-meta-a',
    },
    {
      range: 'bytes=0-1',
      'x-amz-checksum-mode': 'ENABLED',
      'x-nexus-presign': '900',
      'x-nexus-presign-query': 'x-amz-checksum-mode',
    },
  ]);
});

test('the gateway signs anew what the SDK has signed', async () => {
  const { getSignedUrl } = gateway.install('presigner-signed', require('../lib/presigner.js'), SIGNER).exports;
  const scope = 'X-Amz-Credential=id%2F20261126%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20261126T120000Z&X-Amz-Expires=60';
  const names = 'X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost&X-Amz-Signature=0';
  const url = `http://169.254.170.2/b/a%20b?X-Amz-Algorithm=AWS4-HMAC-SHA256&${scope}&${names}&x-amz-meta-a=%C3%BC&x-id=PutObject&x-mine=1`;
  const request = {
    method: 'PUT',
    headers: { 'Content-Type': 'text/plain', 'content-length': '5', 'x-amz-meta-a': 'u', 'cache-control': 'x' },
    url,
  };
  const put = command('PutObjectCommand');
  gateway.asked = [];
  gateway.answer = () => ({ body: 'signed' });
  const client = { request: () => request };
  assert.equal(await getSignedUrl(client, put, { signableHeaders: new Set() }), 'signed');
  assert.equal(await getSignedUrl(client, put, { signingDate: new Date() }), 'signed');
  assert.equal(put.steps.size, 0);
  const head = ['s3', 'eu-west-1', 'PutObject', 'PUT', '/b/a%20b?x-id=PutObject&x-mine=1'];
  assert.deepEqual(
    gateway.asked.map(({ strings: texts }) => texts.slice(0, 5)),
    [head, head],
  );
  const expected = {
    'content-length': '5',
    'content-type': 'text/plain',
    'x-amz-meta-a': 'u',
    'x-nexus-presign': '60',
    'x-nexus-presign-length': '5',
    'x-nexus-presign-query': 'x-amz-meta-a',
    'x-nexus-presign-signed': 'content-length;content-type;host',
  };
  assert.deepEqual(headers(), [expected, { ...expected, 'x-nexus-presign-date': '1795694400' }]);

  gateway.answer = () => ({ status: 403, body: '<Error><Code>AccessDenied</Code><Message>Not you.</Message></Error>' });
  await assert.rejects(getSignedUrl(client, put, {}), {
    name: 'AccessDenied',
    message: 'Not you.',
    $metadata: { httpStatusCode: 403 },
  });
  request.headers['x-amz-meta-a'] = 'ü';
  await assert.rejects(getSignedUrl(client, put, {}), /does not sign what a header does not hold as it is: x-amz-meta-a/);
});

test('a URL that leads somewhere else is as the SDK made it', async () => {
  const { getSignedUrl } = gateway.install('presigner-elsewhere', require('../lib/presigner.js'), SIGNER).exports;
  const get = command('GetObjectCommand');
  gateway.asked = [];
  const scope = 'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=id%2F20261126%2Fr%2Fs3%2Faws4_request';
  for (const url of [
    `http://elsewhere/b/k?${scope}`,
    `https://169.254.170.2/b/k?${scope}`,
    `http://169.254.170.2/b/k?${scope.replace('%2Fs3', '%2Fsts')}`,
    `http://169.254.170.2/b/k?${scope.replace('HMAC-SHA256', 'ECDSA-P256-SHA256')}`,
    `http://169.254.170.2/b/k?${scope}&X-Amz-SignedHeaders=host%3Bx-amz-of-a-signer`,
    'http://169.254.170.2/b/k',
  ]) {
    const client = { request: () => ({ method: 'GET', headers: {}, url }) };
    assert.equal(await getSignedUrl(client, get, {}), url);
  }
  assert.deepEqual(strings(), []);
});

test('the gateway signs a form', async () => {
  const { S3Client, ListBucketsCommand } = gateway.install('client-s3-forms', require('../lib/s3.js'), REAL).exports;
  const text = 'exports.createPresignedPost = async (client) => ({ url: client.leads });';
  const { createPresignedPost } = gateway.install('presigned-post', require('../lib/presigned-post.js'), text).exports;
  const fields = 'x-amz-algorithm A\nx-amz-credential C\nx-amz-date D\npolicy P\nx-amz-signature S';
  gateway.asked = [];
  gateway.answer = ({ strings: [, , name] }) => ({ body: name === 'PutObject' ? `https://store/bucket\n${fields}` : '' });
  const client = new S3Client({ region: 'eu-west-1' });
  const Conditions = [['content-length-range', 1, 100]];
  const asked = { Bucket: 'bucket', Key: 'a b/${filename}', Conditions, Fields: { acl: 'private' }, Expires: 60 };
  const { url, fields: made } = await createPresignedPost(client, asked);
  assert.equal(url, 'https://store/bucket');
  assert.deepEqual(Object.entries(made), [
    ['acl', 'private'],
    ['bucket', 'bucket'],
    ['X-Amz-Algorithm', 'A'],
    ['X-Amz-Credential', 'C'],
    ['X-Amz-Date', 'D'],
    ['key', 'a b/${filename}'],
    ['Policy', 'P'],
    ['X-Amz-Signature', 'S'],
  ]);
  const target = '/bucket/a%20b/%24%7Bfilename%7D';
  const conditions = JSON.stringify([...Conditions, { acl: 'private' }, { bucket: 'bucket' }]);
  assert.deepEqual(strings(), [['s3', 'eu-west-1', 'PutObject', 'POST', target, 'x-nexus-presign-post', '60', conditions]]);
  // A client that is real meanwhile, of a region that it looks up itself.
  await client.send(new ListBucketsCommand({}));
  client.config.region = () => Promise.resolve('eu-west-1');
  client.leads = 'http://169.254.170.2/bucket';
  assert.equal((await createPresignedPost(client, { ...asked, Fields: null })).url, url);
  // Which an endpoint in the environment tells nobody but the package.
  client.leads = 'http://169.254.170.2:81/bucket';
  assert.deepEqual(await createPresignedPost(client, asked), { url: client.leads });
  const plain = new S3Client({ region: 'r' });
  plain.leads = 'http://169.254.170.2/bucket';
  await assert.rejects(createPresignedPost(plain, { ...asked, Expires: 'soon' }), TypeError);
  gateway.answer = () => ({ status: 403, body: '<Error><Code>AccessDenied</Code><Message>No.</Message></Error>' });
  await assert.rejects(createPresignedPost(new S3Client({ region: 'r' }), asked), { name: 'AccessDenied', message: 'No.' });
});

test('the gateway signs for a client that is real, unless a program has changed it', async () => {
  const { S3Client, PutObjectCommand, ListBucketsCommand } = gateway.install('real', require('../lib/s3.js'), REAL).exports;
  const text = "exports.getSignedUrl = async () => 'real';";
  const { getSignedUrl } = gateway.install('presigner-of-real', require('../lib/presigner.js'), text).exports;
  gateway.answer = () => ({ body: 'signed' });
  const sign = (/** @type {unknown} */ client) => getSignedUrl(client, new PutObjectCommand({ Bucket: 'bucket', Key: 'k' }));
  const make = async () => {
    const client = new S3Client({ region: 'r' });
    await client.send(new ListBucketsCommand({}));
    return client;
  };
  const address = { protocol: 'http:', hostname: '169.254.170.2', port: undefined, path: '/' };
  const same = await make();
  assert.equal(await sign(same), 'signed');
  // Which it finds in the environment itself.
  same.config.endpoint = () => Promise.resolve(address);
  assert.equal(await sign(same), 'signed');
  for (const change of [
    (/** @type {any} */ client) => (client.config.endpoint = () => Promise.resolve({ ...address, hostname: 'other' })),
    (/** @type {any} */ client) => (client.config.region = 'other'),
    (/** @type {any} */ client) => (client.config = { ...client.config }),
    (/** @type {any} */ client) => (client.middlewareStack.applyToStack = (/** @type {any} */ stack) => stack.add(() => {})),
    (/** @type {any} */ client) => (client.middlewareStack = { ...client.middlewareStack }),
  ]) {
    const client = await make();
    change(client);
    assert.equal(await sign(client), 'real', String(change));
  }
});

test('a URL that does not come whole is left to the SDK', async () => {
  const { S3Client, PutObjectCommand } = gateway.install('cut', require('../lib/s3.js'), REAL).exports;
  const text = "exports.getSignedUrl = async () => 'real';";
  const { getSignedUrl } = gateway.install('presigner-cut', require('../lib/presigner.js'), text).exports;
  gateway.answer = () => ({ body: 'https://store/', isCut: true });
  const put = new PutObjectCommand({ Bucket: 'bucket', Key: 'k' });
  assert.equal(await getSignedUrl(new S3Client({ region: 'r' }), put), 'real');
});
