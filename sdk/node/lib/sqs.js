// SPDX-License-Identifier: Apache-2.0
'use strict';

/** What the shim knows of SQS. */

/** @typedef {import('./types').JsonKind} JsonKind */
/** @typedef {import('./types').JsonOperation} Operation */

/** @type {JsonKind} */
const STRINGS = { list: 'string' };

/** @type {Record<string, JsonKind>} */
const VALUE = {
  StringValue: 'string',
  BinaryValue: 'blob',
  StringListValues: STRINGS,
  BinaryListValues: { list: 'blob' },
  DataType: 'string',
};
/** @type {JsonKind} */
const ATTRIBUTES = { map: { structure: 'MessageAttributeValue', members: VALUE } };
/** @type {Record<string, JsonKind>} */
const MESSAGE = {
  MessageBody: 'string',
  DelaySeconds: 'integer',
  MessageAttributes: ATTRIBUTES,
  MessageSystemAttributes: { map: { structure: 'MessageSystemAttributeValue', members: VALUE } },
  MessageDeduplicationId: 'string',
  MessageGroupId: 'string',
};
/** @type {Record<string, JsonKind>} */
const SENT = {
  MD5OfMessageBody: 'string',
  MD5OfMessageAttributes: 'string',
  MD5OfMessageSystemAttributes: 'string',
  MessageId: 'string',
  SequenceNumber: 'string',
};
/** @type {JsonKind} */
const FAILED = {
  list: {
    structure: 'BatchResultErrorEntry',
    members: { Id: 'string', SenderFault: 'boolean', Code: 'string', Message: 'string' },
  },
};

/**
 * @param {string} name
 * @param {Record<string, JsonKind>} input
 * @param {Record<string, JsonKind>} [output]
 * @param {Operation['check']} [check]
 * @returns {Operation}
 */
function operation(name, input, output, check) {
  return {
    name,
    method: 'POST',
    input: { structure: `${name}Request`, members: { QueueUrl: 'string', ...input } },
    ...(output && { output: { structure: `${name}Result`, members: output } }),
    ...(check && { check }),
  };
}

/**
 * @param {string} name
 * @param {Record<string, JsonKind>} entry
 * @param {Record<string, JsonKind>} done
 * @param {Operation['check']} [check]
 */
function batch(name, entry, done, check) {
  return operation(
    name,
    { Entries: { list: { structure: `${name}RequestEntry`, members: { Id: 'string', ...entry } } } },
    {
      Successful: { list: { structure: `${name}ResultEntry`, members: { Id: 'string', ...done } } },
      Failed: FAILED,
    },
    check,
  );
}

/**
 * @param {string | undefined} body
 */
function md5(body) {
  return require('node:crypto')
    .createHash('md5')
    .update(body || '')
    .digest('hex');
}

/**
 * @param {string[]} messages those that are not what their checksum says
 */
function refuse(messages) {
  if (messages.length > 0) {
    throw new Error(`Invalid MD5 checksum on messages: ${messages.join(', ')}`);
  }
}

/** @type {Record<string, Operation>} */
const commands = {
  SendMessageCommand: operation('SendMessage', MESSAGE, SENT, (input, output) => {
    if (output.MD5OfMessageBody !== md5(input.MessageBody)) {
      throw new Error('InvalidChecksumError');
    }
  }),
  SendMessageBatchCommand: batch('SendMessageBatch', MESSAGE, SENT, (input, output) => {
    const sent = new Map(/** @type {any[]} */ (output.Successful ?? []).map((entry) => [entry.Id, entry]));
    const entries = /** @type {any[]} */ (input.Entries).filter(({ Id }) => sent.has(Id));
    const wrong = entries.filter(({ Id, MessageBody }) => sent.get(Id).MD5OfMessageBody !== md5(MessageBody));
    refuse(wrong.map(({ Id }) => sent.get(Id).MessageId));
  }),
  ReceiveMessageCommand: operation(
    'ReceiveMessage',
    {
      AttributeNames: STRINGS,
      MessageSystemAttributeNames: STRINGS,
      MessageAttributeNames: STRINGS,
      MaxNumberOfMessages: 'integer',
      VisibilityTimeout: 'integer',
      WaitTimeSeconds: 'integer',
      ReceiveRequestAttemptId: 'string',
    },
    {
      Messages: {
        list: {
          structure: 'Message',
          members: {
            MessageId: 'string',
            ReceiptHandle: 'string',
            MD5OfBody: 'string',
            Body: 'string',
            Attributes: { map: 'string' },
            MD5OfMessageAttributes: 'string',
            MessageAttributes: ATTRIBUTES,
          },
        },
      },
    },
    (_, output) => {
      const messages = /** @type {any[]} */ (output.Messages ?? []);
      refuse(messages.filter(({ Body, MD5OfBody }) => MD5OfBody !== md5(Body)).map(({ MessageId }) => MessageId));
    },
  ),
  DeleteMessageCommand: operation('DeleteMessage', { ReceiptHandle: 'string' }),
  DeleteMessageBatchCommand: batch('DeleteMessageBatch', { ReceiptHandle: 'string' }, {}),
  ChangeMessageVisibilityCommand: operation('ChangeMessageVisibility', {
    ReceiptHandle: 'string',
    VisibilityTimeout: 'integer',
  }),
};

/** @type {import('./types').Service} */
module.exports = {
  signing: 'sqs',
  client: 'SQSClient',
  aggregate: 'SQS',
  base: 'SQSServiceException',
  errors: ['SQSServiceException'],
  refusals: {
    BatchEntryIdsNotDistinct: {},
    BatchRequestTooLong: {},
    EmptyBatchRequest: {},
    InvalidAttributeName: {},
    InvalidBatchEntryId: {},
    InvalidIdFormat: {},
    InvalidMessageContents: {},
    MessageNotInflight: {},
    QueueDoesNotExist: {},
    ReceiptHandleIsInvalid: {},
    TooManyEntriesInBatchRequest: {},
    UnsupportedOperation: {},
  },
  isCompatible: true,
  json: { target: 'AmazonSQS', version: '1.0' },
  // The host in a queue's URL is not the gateway, and there is no other way to it.
  defaults: { useQueueUrlAsEndpoint: false },
  commands,
  get protocol() {
    return require('./json.js');
  },
};
