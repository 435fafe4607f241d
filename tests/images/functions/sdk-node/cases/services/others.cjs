// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Queues, secrets, parameters and functions. */

const { outcome } = require('../../plain.cjs');

/** @type {Record<string, () => unknown>} */
module.exports = {
  async queue() {
    /** @type {any} */
    const sdk = require('@aws-sdk/client-sqs');
    const sqs = new sdk.SQSClient({});
    // The host in the URL that the service gives is not to be reached without the shim.
    const QueueUrl = `${process.env['AWS_ENDPOINT_URL']}/123456789012/queue`;
    const MessageAttributes = {
      text: { DataType: 'String', StringValue: 'x & y' },
      bytes: { DataType: 'Binary', BinaryValue: new Uint8Array([0, 1]) },
    };
    const MessageBody = 'hé"llo <&>';
    const seen = [await sqs.send(new sdk.SendMessageCommand({ QueueUrl, MessageBody, MessageAttributes, DelaySeconds: 0 }))];
    const receive = { QueueUrl, MessageAttributeNames: ['All'], AttributeNames: ['SenderId'], MaxNumberOfMessages: 1 };
    const got = await sqs.send(new sdk.ReceiveMessageCommand(receive));
    const [{ ReceiptHandle }] = got.Messages;
    seen.push(got, got.Messages[0].Body);
    seen.push(await sqs.send(new sdk.ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout: 30 })));
    seen.push(await sqs.send(new sdk.DeleteMessageCommand({ QueueUrl, ReceiptHandle })));
    seen.push(await sqs.send(new sdk.ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 0 })));
    const Entries = ['a', 'b', 'c'].map((Id) => ({ Id, MessageBody: `m${Id}` }));
    seen.push(await sqs.send(new sdk.SendMessageBatchCommand({ QueueUrl, Entries })));
    const { Messages } = await sqs.send(new sdk.ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10 }));
    const handles = Messages.map((/** @type {any} */ message, /** @type {number} */ at) => ({
      Id: `${at}`,
      ReceiptHandle: message.ReceiptHandle,
    }));
    seen.push(Messages.length, await sqs.send(new sdk.DeleteMessageBatchCommand({ QueueUrl, Entries: handles })));
    return seen;
  },

  async queueChanged() {
    /** @type {any} */
    const sdk = require('@aws-sdk/client-sqs');
    const sqs = new sdk.SQS({});
    const QueueUrl = `${process.env['AWS_ENDPOINT_URL']}/123456789012/queue`;
    const input = { QueueUrl, MessageBody: 'first' };
    const sent = sqs.sendMessage(input);
    input.MessageBody = 'second';
    const seen = [await sent];
    const { Messages } = await sqs.receiveMessage({ QueueUrl, MaxNumberOfMessages: 10 });
    return [...seen, Messages.map((/** @type {any} */ { Body }) => Body)];
  },

  async queueRefused() {
    /** @type {any} */
    const sdk = require('@aws-sdk/client-sqs');
    const base = `${process.env['AWS_ENDPOINT_URL']}/123456789012`;
    const seen = [];
    for (const input of [
      { QueueUrl: `${base}/no`, MessageBody: 'x' },
      { QueueUrl: `${base}/queue` },
      { QueueUrl: `${base}/queue`, MessageBody: 5 },
      { QueueUrl: `${base}/queue`, MessageBody: '' },
      { QueueUrl: `${base}/queue`, MessageBody: 'x', DelaySeconds: '1' },
    ]) {
      seen.push(await outcome(() => new sdk.SQSClient({}).send(new sdk.SendMessageCommand(input))));
    }
    const error = await new sdk.SQS({})
      .sendMessage({ QueueUrl: `${base}/no`, MessageBody: 'x' })
      .catch((/** @type {unknown} */ thrown) => thrown);
    return [...seen, error instanceof sdk.QueueDoesNotExist, error instanceof sdk.SQSServiceException];
  },

  async topic() {
    /** @type {any} */
    const sdk = require('@aws-sdk/client-sns');
    const sns = new sdk.SNSClient({});
    const TopicArn = 'arn:aws:sns:us-east-1:123456789012:topic';
    const MessageAttributes = {
      'te.xt': { DataType: 'String', StringValue: 'x & y' },
      bytes: { DataType: 'Binary', BinaryValue: new Uint8Array([0, 1]) },
    };
    const Message = 'hé"llo <&>\n+%';
    const Entries = [
      { Id: 'a', Message: 'one' },
      { Id: 'b', Message, Subject: 's', MessageAttributes },
    ];
    return [
      await sns.send(new sdk.PublishCommand({ TopicArn, Message, Subject: 'a subject', MessageAttributes })),
      await sns.send(new sdk.PublishCommand({ TargetArn: TopicArn, Message: '{"default":"x"}', MessageStructure: 'json' })),
      await new sdk.SNS({}).publish({ TopicArn, Message, MessageAttributes: {}, Subject: undefined }),
      await sns.send(new sdk.PublishBatchCommand({ TopicArn, PublishBatchRequestEntries: Entries })),
      await sns.send(new sdk.PublishBatchCommand({ TopicArn, PublishBatchRequestEntries: Entries.slice(0, 1) })),
    ];
  },

  async topicRefused() {
    /** @type {any} */
    const sdk = require('@aws-sdk/client-sns');
    const TopicArn = 'arn:aws:sns:us-east-1:123456789012:topic';
    const seen = [];
    for (const input of [
      { TopicArn: `${TopicArn}s`, Message: 'x' },
      { TopicArn },
      { TopicArn, Message: 5 },
      { TopicArn, Message: '' },
      { TopicArn, Message: 'x', Other: 1 },
      { TopicArn, Message: 'x', MessageAttributes: { a: { DataType: 'Number', StringValue: 'no' } } },
    ]) {
      seen.push(await outcome(() => new sdk.SNSClient({}).send(new sdk.PublishCommand(input))));
    }
    for (const PublishBatchRequestEntries of [
      [],
      undefined,
      [
        { Id: 'a', Message: 'x' },
        { Id: 'a', Message: 'y' },
      ],
      [{ Id: 'a', Message: '' }],
      [{ Id: 'a', Message: 'x'.repeat(300_000) }],
    ]) {
      const command = new sdk.PublishBatchCommand({ TopicArn, PublishBatchRequestEntries });
      seen.push(await outcome(() => new sdk.SNSClient({}).send(command)));
    }
    const error = await new sdk.SNS({})
      .publish({ TopicArn: `${TopicArn}s`, Message: 'x' })
      .catch((/** @type {unknown} */ thrown) => thrown);
    return [...seen, error instanceof sdk.NotFoundException, error instanceof sdk.SNSServiceException];
  },

  async secretsAndParameters() {
    /** @type {any} */
    const { SecretsManagerClient, GetSecretValueCommand, SecretsManager } = require('@aws-sdk/client-secrets-manager');
    /** @type {any} */
    const { SSMClient, ...ssm } = require('@aws-sdk/client-ssm');
    const [secrets, parameters] = [new SecretsManagerClient({}), new SSMClient({})];
    const seen = [
      await secrets.send(new GetSecretValueCommand({ SecretId: 'text' })),
      await secrets.send(new GetSecretValueCommand({ SecretId: 'bytes', VersionStage: 'AWSCURRENT' })),
      await new SecretsManager({}).getSecretValue({ SecretId: 'text' }),
      await parameters.send(new ssm.PutParameterCommand({ Name: '/app/t/two', Value: 'zwei', Type: 'SecureString' })),
      await parameters.send(new ssm.PutParameterCommand({ Name: '/app/t/two', Value: 'zwo', Type: 'String', Overwrite: true })),
      await parameters.send(new ssm.GetParameterCommand({ Name: '/app/one', WithDecryption: true })),
      await parameters.send(new ssm.GetParametersCommand({ Names: ['/app/t/two', '/no'] })),
      await parameters.send(new ssm.GetParametersByPathCommand({ Path: '/app/t', Recursive: true, MaxResults: 1 })),
      await parameters.send(
        new ssm.GetParametersByPathCommand({
          Path: '/app',
          ParameterFilters: [{ Key: 'Type', Option: 'Equals', Values: ['String'] }],
        }),
      ),
    ];
    return seen;
  },

  async secretsAndParametersRefused() {
    /** @type {any} */
    const { SecretsManagerClient, ...manager } = require('@aws-sdk/client-secrets-manager');
    /** @type {any} */
    const { SSMClient, GetParameterCommand } = require('@aws-sdk/client-ssm');
    const [secrets, parameters] = [new SecretsManagerClient({}), new SSMClient({})];
    /** @type {any[]} */
    const seen = [
      await outcome(() => parameters.send(new GetParameterCommand({ Name: '/no' }))),
      await outcome(() => parameters.send(new GetParameterCommand({ Name: 5 }))),
    ];
    const error = await secrets
      .send(new manager.GetSecretValueCommand({ SecretId: 'no' }))
      .catch((/** @type {unknown} */ thrown) => thrown);
    seen.push(error, error instanceof manager.ResourceNotFoundException);
    return seen;
  },

  async functions() {
    /** @type {any} */
    const sdk = require('@aws-sdk/client-lambda');
    const client = new sdk.LambdaClient({});
    const FunctionName = 'f';
    const inputs = [
      { FunctionName, Payload: JSON.stringify({ a: [1, null, 'ä'] }) },
      { FunctionName: 'arn:aws:lambda:us-east-1:123456789012:function:f', Payload: Buffer.from('{}'), Qualifier: '$LATEST' },
      { FunctionName, InvocationType: 'Event', LogType: 'None', Payload: new Uint8Array([91, 93]) },
      { FunctionName, ClientContext: 'e30=', LogType: 'Tail', Payload: '{}' },
      { FunctionName },
      { FunctionName, Payload: '' },
    ];
    const seen = [];
    for (const input of inputs) {
      seen.push(
        await outcome(async () => {
          const output = await client.send(new sdk.InvokeCommand(input));
          const { Payload } = output;
          return [output, Payload && [Payload.transformToString(), Payload.transformToString('base64'), Payload.length]];
        }),
      );
    }
    const { Payload } = await new sdk.Lambda({}).invoke({ FunctionName, Payload: '"text"' });
    seen.push(JSON.parse(Buffer.from(Payload).toString()), JSON.parse(new TextDecoder().decode(Payload)));
    return [...seen, Payload instanceof Uint8Array, Payload.slice(1, 3)];
  },

  async functionsRefused() {
    /** @type {any} */
    const sdk = require('@aws-sdk/client-lambda');
    const FunctionName = 'f';
    const seen = [];
    for (const input of [
      { FunctionName: '' },
      { FunctionName, Payload: 5 },
      { FunctionName: 5 },
      undefined,
      { FunctionName, Unknown: 'x', Payload: '1' },
    ]) {
      seen.push(await outcome(() => new sdk.LambdaClient({}).send(new sdk.InvokeCommand(input))));
    }
    return seen;
  },
};
