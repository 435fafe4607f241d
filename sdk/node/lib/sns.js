// SPDX-License-Identifier: Apache-2.0
'use strict';

/** What the shim knows of SNS. */

/** @typedef {import('./types').JsonKind} JsonKind */
/** @typedef {import('./types').QueryOperation} Operation */

/** @type {Record<string, JsonKind>} */
const MESSAGE = {
  Message: 'string',
  Subject: 'string',
  MessageStructure: 'string',
  MessageAttributes: {
    map: {
      structure: 'MessageAttributeValue',
      members: { DataType: 'string', StringValue: 'string', BinaryValue: 'blob' },
    },
  },
  MessageDeduplicationId: 'string',
  MessageGroupId: 'string',
};

/** @type {Record<string, JsonKind>} */
const SENT = { MessageId: 'string', SequenceNumber: 'string' };

/** @type {Operation} */
const PublishCommand = {
  name: 'Publish',
  method: 'POST',
  input: {
    structure: 'PublishInput',
    members: { TopicArn: 'string', TargetArn: 'string', PhoneNumber: 'string', ...MESSAGE },
  },
  output: { structure: 'PublishResponse', members: SENT },
};

/** @type {Operation} */
const PublishBatchCommand = {
  name: 'PublishBatch',
  method: 'POST',
  input: {
    structure: 'PublishBatchInput',
    members: {
      TopicArn: 'string',
      PublishBatchRequestEntries: { list: { structure: 'PublishBatchRequestEntry', members: { Id: 'string', ...MESSAGE } } },
    },
  },
  output: {
    structure: 'PublishBatchResponse',
    members: {
      Successful: { list: { structure: 'PublishBatchResultEntry', members: { Id: 'string', ...SENT } } },
      Failed: {
        list: {
          structure: 'BatchResultErrorEntry',
          members: { Id: 'string', Code: 'string', Message: 'string', SenderFault: 'boolean' },
        },
      },
    },
  },
};

/** @type {import('./types').Service} */
module.exports = {
  signing: 'sns',
  client: 'SNSClient',
  aggregate: 'SNS',
  base: 'SNSServiceException',
  errors: ['SNSServiceException'],
  refusals: {
    BatchEntryIdsNotDistinct: {},
    BatchRequestTooLong: {},
    EmptyBatchRequest: {},
    EndpointDisabled: {},
    InvalidBatchEntryId: {},
    InvalidParameter: {},
    NotFound: {},
    PlatformApplicationDisabled: {},
    TooManyEntriesInBatchRequest: {},
  },
  query: '2010-03-31',
  commands: { PublishCommand, PublishBatchCommand },
  get protocol() {
    return require('./query.js');
  },
};
