// SPDX-License-Identifier: Apache-2.0
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');

const { Gateway, REAL } = require('./gateway.cjs');

const gateway = new Gateway();

before(() => gateway.start());
after(() => gateway.stop());

test('a call that was made is not made again because its answer cannot be read', async () => {
  const text = `// de_CommandError\nvar se_UpdateItemInput = (input) => {\n  return take(input, {\n    TableName: []\n  });\n}, "";\n`;
  const { DynamoDBClient, UpdateItemCommand } = gateway.install('dynamodb', require('../lib/dynamodb.js'), text).exports;
  gateway.asked = [];
  gateway.answer = () => ({ body: '{' });
  const sent = new DynamoDBClient({ region: 'r' }).send(new UpdateItemCommand({ TableName: 't' }));
  await assert.rejects(sent, SyntaxError);
  assert.equal(gateway.asked.length, 1);
});

test('a message of a topic is a form', async () => {
  const { SNSClient, PublishCommand, PublishBatchCommand } = gateway.install(
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
  const { SNSClient, PublishCommand } = gateway.install('sns-unread', require('../lib/sns.js'), '// de_CommandError').exports;
  gateway.asked = [];
  for (const body of ['', '<a/>', '<PublishResponse><PublishResult>x</PublishResult></PublishResponse>']) {
    gateway.answer = () => ({ body });
    const sent = new SNSClient({ region: 'r' }).send(new PublishCommand({ TopicArn: 't', Message: 'x' }));
    await assert.rejects(sent, /is not made again/);
  }
  assert.equal(gateway.asked.length, 3);
});

test('a real client sends an input as it was when the shim sent it', async () => {
  const { S3Client, PutObjectCommand } = gateway.install('changed', require('../lib/s3.js'), REAL).exports;
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

test('a client makes calls by message whatever else it has done, until a program reaches into it', async () => {
  const { S3Client, PutObjectCommand, ListBucketsCommand } = gateway.install('mixed', require('../lib/s3.js'), REAL).exports;
  gateway.asked = [];
  gateway.answer = () => ({});
  const client = new S3Client({ region: 'r' });
  const put = () => client.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'k', Body: 'x' }));
  const [config] = await client.send(new ListBucketsCommand({}));
  await put();
  assert.equal((await client.send(new ListBucketsCommand({})))[0], config);
  await put();
  assert.deepEqual(
    gateway.asked.map(({ operation }) => operation),
    ['PutObject', 'PutObject'],
  );
  client.destroy();
  assert.equal(config.isDestroyed, true);
  assert.equal(client.config, config);
  assert.equal((await put())[0], config);
  assert.equal(gateway.asked.length, 2);
});

test('clients of queues go to the gateway, whatever else they are told', async () => {
  const { SQSClient, PurgeQueueCommand } = gateway.install('queues', require('../lib/sqs.js'), REAL).exports;
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

test('a program may clear what Node has loaded', async () => {
  const kept = { ...require.cache };
  const { S3Client, PutObjectCommand } = gateway.install('cleared', require('../lib/s3.js'), REAL).exports;
  const text = "exports.getSignedUrl = async () => 'real';";
  const { getSignedUrl } = gateway.install('presigner-cleared', require('../lib/presigner.js'), text).exports;
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
