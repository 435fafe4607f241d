// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Errors that programs test for, of services other than S3. */

/** @typedef {import('../../plain.cjs').Class} Class */

/**
 * What a program sees of an error: what it is, and which of a package's classes it is of.
 * @param {any} sdk
 * @param {Promise<unknown>} call
 */
async function seenOf(sdk, call) {
  const error = /** @type {any} */ (
    await call.then(
      () => new Error('none'),
      (thrown) => thrown,
    )
  );
  const { name, message, $fault, $metadata, $response } = error;
  // What else a package exports may not be looked at without loading it.
  const classes = [...Object.keys(sdk).filter((each) => /Exception$/.test(each)), name].sort();
  const kinds = classes.filter((each) => typeof sdk[each] === 'function' && error instanceof sdk[each]);
  return [error, name, message, $fault, $metadata, $response?.statusCode, kinds, error.constructor === sdk[name]];
}

/**
 * @param {any} sdk
 * @param {any} client
 * @param {[command: string, input: any][]} calls
 */
async function errorsOf(sdk, client, calls) {
  const seen = [];
  for (const [command, input] of calls) {
    seen.push(await seenOf(sdk, client.send(new sdk[command](input))));
  }
  return seen;
}

/**
 * @template T
 * @param {T} thrown
 */
function itself(thrown) {
  return thrown;
}

/** @type {Record<string, () => unknown>} */
module.exports = {
  async errorsOfItems() {
    /** @type {any} */
    const sdk = require('@aws-sdk/client-dynamodb');
    const client = new sdk.DynamoDBClient({});
    const TableName = 'errorsOfItems';
    const Key = { id: { S: 'ä' }, n: { N: '1' } };
    const Item = { ...Key, b: { B: new Uint8Array([0, 255]) }, m: { M: { l: { L: [{ NULL: true }, { NS: ['1', '2'] }] } } } };
    await client.send(new sdk.PutItemCommand({ TableName, Item }));
    const ConditionExpression = 'attribute_not_exists(id)';
    const back = { ReturnValuesOnConditionCheckFailure: 'ALL_OLD' };
    return errorsOf(sdk, client, [
      ['PutItemCommand', { TableName, Item, ConditionExpression }],
      ['PutItemCommand', { TableName, Item, ConditionExpression, ...back }],
      ['DeleteItemCommand', { TableName, Key, ConditionExpression, ...back }],
      ['UpdateItemCommand', { TableName, Key, UpdateExpression: 'SET x = n', ConditionExpression, ...back }],
      ['UpdateItemCommand', { TableName, Key, UpdateExpression: 'no' }],
      ['GetItemCommand', { TableName: 'nothing', Key }],
      ['GetItemCommand', { TableName, Key: { id: Key.id } }],
      ['QueryCommand', { TableName, KeyConditionExpression: 'x = :x', ExpressionAttributeValues: { ':x': { S: '' } } }],
      ['BatchGetItemCommand', { RequestItems: { nothing: { Keys: [Key] } } }],
    ]);
  },

  async errorsOfDocuments() {
    /** @type {any} */
    const { DynamoDBClient, ...sdk } = require('@aws-sdk/client-dynamodb');
    /** @type {any} */
    const lib = require('@aws-sdk/lib-dynamodb');
    const client = lib.DynamoDBDocumentClient.from(new DynamoDBClient({}));
    const TableName = 'errorsOfDocuments';
    const Item = { id: 'a', n: 1, list: [1, 'two'] };
    const put = { TableName, Item, ConditionExpression: 'attribute_not_exists(id)' };
    await client.send(new lib.PutCommand(put));
    return [
      await seenOf(sdk, client.send(new lib.PutCommand(put))),
      await seenOf(sdk, client.send(new lib.PutCommand({ ...put, ReturnValuesOnConditionCheckFailure: 'ALL_OLD' }))),
      await seenOf(sdk, client.send(new lib.GetCommand({ TableName: 'nothing', Key: { id: 'a' } }))),
      await seenOf(sdk, lib.DynamoDBDocument.from(new DynamoDBClient({})).put(put)),
    ];
  },

  errorsOfSecrets() {
    /** @type {any} */
    const sdk = require('@aws-sdk/client-secrets-manager');
    return errorsOf(sdk, new sdk.SecretsManagerClient({}), [
      ['GetSecretValueCommand', { SecretId: 'no' }],
      ['GetSecretValueCommand', { SecretId: 'text', VersionStage: 'no' }],
      ['GetSecretValueCommand', { SecretId: 'text', VersionId: 'x'.repeat(32) }],
    ]);
  },

  errorsOfParameters() {
    /** @type {any} */
    const sdk = require('@aws-sdk/client-ssm');
    return errorsOf(sdk, new sdk.SSMClient({}), [
      ['GetParameterCommand', { Name: '/no' }],
      ['GetParameterCommand', { Name: '/app/one:9' }],
      ['PutParameterCommand', { Name: '/app/one', Value: 'second', Type: 'String' }],
      ['PutParameterCommand', { Name: 'awsx', Value: '', Type: 'String' }],
      ['GetParametersByPathCommand', { Path: 'no', MaxResults: 1 }],
      ['GetParametersCommand', { Names: Array.from({ length: 11 }, (_, at) => `/${at}`) }],
    ]);
  },

  errorsOfQueues() {
    /** @type {any} */
    const sdk = require('@aws-sdk/client-sqs');
    const base = `${process.env['AWS_ENDPOINT_URL']}/123456789012`;
    const QueueUrl = `${base}/queue`;
    return errorsOf(sdk, new sdk.SQSClient({}), [
      ['SendMessageCommand', { QueueUrl: `${base}/no`, MessageBody: 'x' }],
      ['ReceiveMessageCommand', { QueueUrl: `${base}/no` }],
      ['DeleteMessageCommand', { QueueUrl, ReceiptHandle: 'no' }],
      ['ChangeMessageVisibilityCommand', { QueueUrl, ReceiptHandle: 'no', VisibilityTimeout: 1 }],
      ['SendMessageBatchCommand', { QueueUrl, Entries: [] }],
      [
        'SendMessageBatchCommand',
        {
          QueueUrl,
          Entries: [
            { Id: 'a', MessageBody: 'x' },
            { Id: 'a', MessageBody: 'y' },
          ],
        },
      ],
    ]);
  },

  errorsOfFunctions() {
    /** @type {any} */
    const sdk = require('@aws-sdk/client-lambda');
    return errorsOf(sdk, new sdk.LambdaClient({}), [
      ['InvokeCommand', { FunctionName: 'no', Payload: '{}' }],
      ['InvokeCommand', { FunctionName: 'no', InvocationType: 'Event' }],
    ]);
  },

  errorsOfTopics() {
    /** @type {any} */
    const sdk = require('@aws-sdk/client-sns');
    const TopicArn = 'arn:aws:sns:us-east-1:123456789012:topic';
    const PublishBatchRequestEntries = [
      { Id: 'a', Message: 'x' },
      { Id: 'a', Message: 'y' },
    ];
    return errorsOf(sdk, new sdk.SNSClient({}), [
      ['PublishCommand', { TopicArn: `${TopicArn}s`, Message: 'x' }],
      ['PublishCommand', { TopicArn, Message: 'x', Subject: 'x'.repeat(101) }],
      ['PublishCommand', { TopicArn, Message: 'x'.repeat(300_000) }],
      ['PublishBatchCommand', { TopicArn: `${TopicArn}s`, PublishBatchRequestEntries }],
      ['PublishBatchCommand', { TopicArn, PublishBatchRequestEntries }],
    ]);
  },

  async errorsOfOthers() {
    /** @type {any[]} */
    const packages = ['dynamodb', 'secrets-manager', 'lambda', 'sns', 'ssm'].map((name) => require(`@aws-sdk/client-${name}`));
    const [dynamodb, secrets, , sns] = packages;
    const TopicArn = 'arn:aws:sns:us-east-1:123456789012:no';
    const errors = [
      await new dynamodb.DynamoDB({}).getItem({ TableName: 'nothing', Key: { id: { S: 'a' } } }).catch(itself),
      await new secrets.SecretsManager({}).getSecretValue({ SecretId: 'no' }).catch(itself),
      await new sns.SNS({}).publish({ TopicArn, Message: 'x' }).catch(itself),
      { $fault: 'client', $metadata: {}, name: 'ResourceNotFoundException' },
      new Error('other'),
    ];
    // In some releases an error passes for one of another service's of the same name.
    return errors.map((error) =>
      packages.map((sdk) => error instanceof (sdk.ResourceNotFoundException ?? sdk.ParameterNotFound)),
    );
  },
};
