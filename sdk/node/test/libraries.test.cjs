// SPDX-License-Identifier: Apache-2.0
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');

const { Package } = require('../lib/facade.js');
const { Gateway } = require('./gateway.cjs');

const gateway = new Gateway();

/** What the gateway was asked. */
function strings() {
  return gateway.asked.map((call) => call.strings);
}

/**
 * A package whose text is no more than a test needs.
 * @param {string} name
 * @param {any} service
 * @param {string} [text]
 */
function install(name, service, text = '') {
  const filename = path.join(gateway.folder, `${name}.js`);
  fs.writeFileSync(filename, text);
  return new Package(filename, 1100, service);
}

before(() => gateway.start());
after(() => gateway.stop());

test('the gateway signs a URL', async () => {
  const { S3Client, GetObjectCommand, PutObjectCommand } = install('client-s3', require('../lib/s3.js')).exports;
  const { getSignedUrl } = install('presigner', require('../lib/presigner.js')).exports;
  const client = new S3Client({ region: 'eu-west-1' });
  gateway.asked = [];
  gateway.answer = () => ({ body: 'https://store/signed' });
  const put = new PutObjectCommand({ Bucket: 'bucket', Key: 'a b', ContentType: 'text/plain' });
  assert.equal(await getSignedUrl(client, put, { expiresIn: 60 }), 'https://store/signed');
  const get = new GetObjectCommand({ Bucket: 'bucket', Key: 'k', VersionId: '1' });
  assert.equal(await getSignedUrl(client, get), 'https://store/signed');
  assert.deepEqual(strings(), [
    ['s3', 'eu-west-1', 'PutObject', 'PUT', '/bucket/a%20b?x-id=PutObject', 'x-nexus-presign', '60', ''],
    ['s3', 'eu-west-1', 'GetObject', 'GET', '/bucket/k?x-id=GetObject&versionId=1', 'x-nexus-presign', '900', ''],
  ]);
});

test('what the SDK would put into a URL otherwise is left to it', async () => {
  const { S3Client, PutObjectCommand } = install('client-s3', require('../lib/s3.js')).exports;
  const text = "exports.getSignedUrl = async (client, command, options) => ['real', options];";
  const { getSignedUrl } = install('presigner', require('../lib/presigner.js'), text).exports;
  gateway.asked = [];
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
  assert.deepEqual(strings(), []);
});

test('a call that was made is not made again because its answer cannot be read', async () => {
  const text = `// de_CommandError\nvar se_UpdateItemInput = (input) => {\n  return take(input, {\n    TableName: []\n  });\n}, "";\n`;
  const { DynamoDBClient, UpdateItemCommand } = install('dynamodb', require('../lib/dynamodb.js'), text).exports;
  gateway.asked = [];
  gateway.answer = () => ({ body: '{' });
  const sent = new DynamoDBClient({ region: 'r' }).send(new UpdateItemCommand({ TableName: 't' }));
  await assert.rejects(sent, SyntaxError);
  assert.equal(gateway.asked.length, 1);
});

test('a message of a topic is a form', async () => {
  const { SNSClient, PublishCommand, PublishBatchCommand } = install(
    'sns',
    require('../lib/sns.js'),
    '// de_CommandError',
  ).exports;
  const client = new SNSClient({ region: 'r' });
  gateway.asked = [];
  gateway.answer = () => ({
    body: '<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>',
  });
  const MessageAttributes = { 'a b': { DataType: 'Binary', BinaryValue: new Uint8Array([1]) } };
  const sent = await client.send(new PublishCommand({ TopicArn: 'arn:t', Message: 'x &+%', MessageAttributes }));
  assert.deepEqual(Object.keys(sent), ['$metadata', 'MessageId']);
  const fields = ['Action=Publish', 'Version=2010-03-31', 'TopicArn=arn%3At', 'Message=x%20%26%2B%25'];
  const attribute = 'MessageAttributes.entry.1';
  fields.push(`${attribute}.Name=a%20b`, `${attribute}.Value.DataType=Binary`, `${attribute}.Value.BinaryValue=AQ%3D%3D`);
  assert.deepEqual(gateway.asked[0]?.strings.slice(0, 7), [
    'sns',
    'r',
    'Publish',
    'POST',
    '/',
    'content-type',
    'application/x-www-form-urlencoded',
  ]);
  assert.deepEqual(gateway.asked[0]?.strings.at(-1)?.split('&'), fields);
  const failed = '<member><Id>b</Id><Code>c</Code><SenderFault>true</SenderFault></member>';
  const result = `<PublishBatchResult><Successful/><Failed>${failed}</Failed></PublishBatchResult>`;
  gateway.answer = () => ({ body: `<PublishBatchResponse>${result}</PublishBatchResponse>` });
  const PublishBatchRequestEntries = [{ Id: 'b', Message: 'y' }];
  const { $metadata, ...batch } = await client.send(new PublishBatchCommand({ TopicArn: 't', PublishBatchRequestEntries }));
  assert.deepEqual(batch, { Successful: [], Failed: [{ Id: 'b', Code: 'c', SenderFault: true }] });
  assert.match(
    gateway.asked[1]?.strings.at(-1) ?? '',
    /&PublishBatchRequestEntries\.member\.1\.Id=b&PublishBatchRequestEntries\.member\.1\.Message=y$/,
  );
});

test('a message that was published is not published again because the answer cannot be read', async () => {
  const { SNSClient, PublishCommand } = install('sns-unread', require('../lib/sns.js'), '// de_CommandError').exports;
  gateway.asked = [];
  for (const body of ['', '<a/>', '<PublishResponse><PublishResult>x</PublishResult></PublishResponse>']) {
    gateway.answer = () => ({ body });
    const sent = new SNSClient({ region: 'r' }).send(new PublishCommand({ TopicArn: 't', Message: 'x' }));
    await assert.rejects(sent, /is not made again/);
  }
  assert.equal(gateway.asked.length, 3);
});

/** A package with a real client that tells what it is made of and what it is given. */
const REAL = `
class Client {
    constructor(config) { this.config = config; this.middlewareStack = { applyToStack() {} }; }
    send(command) { return Promise.resolve([this.config, command.input]); }
}
class Command {
    constructor(input) { this.input = input; }
}
exports.S3Client = class S3Client extends Client {};
exports.SQSClient = class SQSClient extends Client {};
exports.PutObjectCommand = class PutObjectCommand extends Command {};
exports.ListBucketsCommand = class ListBucketsCommand extends Command {};
exports.PurgeQueueCommand = class PurgeQueueCommand extends Command {};
`;

test('a real client sends an input as it was when the shim sent it', async () => {
  const { S3Client, PutObjectCommand } = install('changed', require('../lib/s3.js'), REAL).exports;
  const input = { Bucket: 'bucket', Key: 'first', Body: 'x', Metadata: { said: 'first' } };
  gateway.asked = [];
  gateway.answer = () => ({ status: 500, body: '' });
  const sent = new S3Client({ region: 'r' }).send(new PutObjectCommand(input));
  // What a real client has taken by now, and what it takes a little later.
  input.Key = input.Metadata.said = 'second';
  while (gateway.asked.length === 0) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  input.Body = input.Metadata.said = 'third';
  const [, given] = await sent;
  assert.deepEqual(given, { Bucket: 'bucket', Key: 'first', Body: 'x', Metadata: { said: 'second' } });
  assert.deepEqual(
    [gateway.asked[0]?.strings[4], gateway.asked[0]?.strings.includes('second')],
    ['/bucket/first?x-id=PutObject', true],
  );
});

test('clients of queues go to the gateway, whatever else they are told', async () => {
  const { SQSClient, PurgeQueueCommand } = install('queues', require('../lib/sqs.js'), REAL).exports;
  const told = async (/** @type {any} */ client) => (await client.send(new PurgeQueueCommand({})))[0];
  class Mine extends SQSClient {}
  const useQueueUrlAsEndpoint = false;
  assert.deepEqual(await told(new SQSClient({ region: 'r' })), { region: 'r', useQueueUrlAsEndpoint });
  assert.deepEqual(await told(new SQSClient({ maxAttempts: 2 })), { maxAttempts: 2, useQueueUrlAsEndpoint });
  assert.deepEqual(await told(new Mine()), { useQueueUrlAsEndpoint });
  const given = { useQueueUrlAsEndpoint: undefined, maxAttempts: 2 };
  assert.deepEqual(await told(new SQSClient(given)), { maxAttempts: 2, useQueueUrlAsEndpoint });
  assert.equal(given.useQueueUrlAsEndpoint, undefined);
  assert.deepEqual(await told(new SQSClient({ useQueueUrlAsEndpoint: true })), { useQueueUrlAsEndpoint: true });
});

test('the gateway signs for a client that is real, unless a program has changed it', async () => {
  const { S3Client, PutObjectCommand, ListBucketsCommand } = install('real', require('../lib/s3.js'), REAL).exports;
  const text = "exports.getSignedUrl = async () => 'real';";
  const { getSignedUrl } = install('presigner-of-real', require('../lib/presigner.js'), text).exports;
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
  const { S3Client, PutObjectCommand } = install('cut', require('../lib/s3.js')).exports;
  const text = "exports.getSignedUrl = async () => 'real';";
  const { getSignedUrl } = install('presigner-cut', require('../lib/presigner.js'), text).exports;
  gateway.answer = () => ({ body: 'https://store/', isCut: true });
  const put = new PutObjectCommand({ Bucket: 'bucket', Key: 'k' });
  assert.equal(await getSignedUrl(new S3Client({ region: 'r' }), put), 'real');
});

test('a program may clear what Node has loaded', async () => {
  const kept = { ...require.cache };
  const { S3Client, PutObjectCommand } = install('cleared', require('../lib/s3.js'), REAL).exports;
  const text = "exports.getSignedUrl = async () => 'real';";
  const { getSignedUrl } = install('presigner-cleared', require('../lib/presigner.js'), text).exports;
  const file = path.join(gateway.folder, 'content');
  fs.writeFileSync(file, 'of a file');
  gateway.answer = () => ({ body: 'signed' });
  const client = new S3Client({ region: 'r' });
  const clear = () => Object.keys(require.cache).forEach((name) => delete require.cache[name]);
  try {
    clear();
    assert.equal(await getSignedUrl(client, new PutObjectCommand({ Bucket: 'bucket', Key: 'k' })), 'signed');
    clear();
    gateway.answer = () => ({ status: 500, body: '' });
    const sent = client.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'k', Body: fs.createReadStream(file) }));
    clear();
    const [, { Body }] = await sent;
    assert.equal(Body.toString(), 'of a file');
  } finally {
    Object.assign(require.cache, kept);
  }
});
