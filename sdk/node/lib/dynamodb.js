// SPDX-License-Identifier: Apache-2.0
'use strict';

/** What the shim knows of DynamoDB. */

/** @typedef {import('./types').JsonKind} JsonKind */
/** @typedef {import('./types').JsonOperation} Operation */

/** @type {JsonKind} */
const STRINGS = { list: 'string' };
/** @type {JsonKind} */
const NAMES = { map: 'string' };
/** @type {JsonKind} */
const ITEM = { map: 'attribute' };
/** @type {JsonKind} */
const ITEMS = { list: ITEM };

/** @type {JsonKind} */
const CAPACITY = {
  structure: 'Capacity',
  members: { ReadCapacityUnits: 'number', WriteCapacityUnits: 'number', CapacityUnits: 'number' },
};
/** @type {JsonKind} */
const CONSUMED = {
  structure: 'ConsumedCapacity',
  members: {
    TableName: 'string',
    CapacityUnits: 'number',
    ReadCapacityUnits: 'number',
    WriteCapacityUnits: 'number',
    Table: CAPACITY,
    LocalSecondaryIndexes: { map: CAPACITY },
    GlobalSecondaryIndexes: { map: CAPACITY },
    VectorIndexes: {
      map: { structure: 'VectorCapacity', members: { VectorSearchRequestBytes: 'number', VectorWriteRequestBytes: 'number' } },
    },
  },
};
/** @type {JsonKind} */
const COLLECTION = {
  structure: 'ItemCollectionMetrics',
  members: { ItemCollectionKey: ITEM, SizeEstimateRangeGB: { list: 'number' } },
};
/** @type {JsonKind} */
const KEYS = {
  structure: 'KeysAndAttributes',
  members: {
    Keys: ITEMS,
    AttributesToGet: STRINGS,
    ConsistentRead: 'boolean',
    ProjectionExpression: 'string',
    ExpressionAttributeNames: NAMES,
  },
};
/** @type {JsonKind} */
const WRITES = {
  map: {
    list: {
      structure: 'WriteRequest',
      members: {
        PutRequest: { structure: 'PutRequest', members: { Item: ITEM } },
        DeleteRequest: { structure: 'DeleteRequest', members: { Key: ITEM } },
      },
    },
  },
};

// Members of inputs. Those that expressions have taken the place of are for a real client.

/** @type {Record<string, JsonKind>} */
const ANY = { ReturnConsumedCapacity: 'string', ExpressionAttributeNames: NAMES };
/** @type {Record<string, JsonKind>} */
const READING = {
  TableName: 'string',
  AttributesToGet: STRINGS,
  ConsistentRead: 'boolean',
  ProjectionExpression: 'string',
  ...ANY,
};
/** @type {Record<string, JsonKind>} */
const FINDING = {
  ...READING,
  IndexName: 'string',
  Select: 'string',
  Limit: 'integer',
  ExclusiveStartKey: ITEM,
  FilterExpression: 'string',
  ExpressionAttributeValues: ITEM,
};
/** @type {Record<string, JsonKind>} */
const WRITING = {
  TableName: 'string',
  ...ANY,
  ReturnValues: 'string',
  ReturnItemCollectionMetrics: 'string',
  ConditionExpression: 'string',
  ExpressionAttributeValues: ITEM,
  ReturnValuesOnConditionCheckFailure: 'string',
};

// Members of outputs.

/** @type {Record<string, JsonKind>} */
const FOUND = { Items: ITEMS, Count: 'integer', ScannedCount: 'integer', LastEvaluatedKey: ITEM, ConsumedCapacity: CONSUMED };
/** @type {Record<string, JsonKind>} */
const WRITTEN = { Attributes: ITEM, ConsumedCapacity: CONSUMED, ItemCollectionMetrics: COLLECTION };

/**
 * @param {string} name
 * @param {boolean} isRead
 * @param {Record<string, JsonKind>} input
 * @param {Record<string, JsonKind>} output
 * @returns {Operation}
 */
function operation(name, isRead, input, output) {
  return {
    name,
    method: 'POST',
    isRead,
    input: { structure: `${name}Input`, members: input },
    output: { structure: `${name}Output`, members: output },
  };
}

/** @type {Record<string, Operation>} */
const commands = {
  GetItemCommand: operation('GetItem', true, { Key: ITEM, ...READING }, { Item: ITEM, ConsumedCapacity: CONSUMED }),
  QueryCommand: operation('Query', true, { ...FINDING, KeyConditionExpression: 'string', ScanIndexForward: 'boolean' }, FOUND),
  ScanCommand: operation('Scan', true, { ...FINDING, TotalSegments: 'integer', Segment: 'integer' }, FOUND),
  PutItemCommand: operation('PutItem', false, { Item: ITEM, ...WRITING }, WRITTEN),
  UpdateItemCommand: operation('UpdateItem', false, { Key: ITEM, UpdateExpression: 'string', ...WRITING }, WRITTEN),
  DeleteItemCommand: operation('DeleteItem', false, { Key: ITEM, ...WRITING }, WRITTEN),
  BatchGetItemCommand: operation(
    'BatchGetItem',
    true,
    { RequestItems: { map: KEYS }, ReturnConsumedCapacity: 'string' },
    { Responses: { map: ITEMS }, UnprocessedKeys: { map: KEYS }, ConsumedCapacity: { list: CONSUMED } },
  ),
  BatchWriteItemCommand: operation(
    'BatchWriteItem',
    false,
    { RequestItems: WRITES, ReturnConsumedCapacity: 'string', ReturnItemCollectionMetrics: 'string' },
    {
      UnprocessedItems: WRITES,
      ItemCollectionMetrics: { map: { list: COLLECTION } },
      ConsumedCapacity: { list: CONSUMED },
    },
  ),
  TransactGetItemsCommand: operation(
    'TransactGetItems',
    true,
    {
      TransactItems: {
        list: {
          structure: 'TransactGetItem',
          members: {
            Get: {
              structure: 'Get',
              members: { Key: ITEM, TableName: 'string', ProjectionExpression: 'string', ExpressionAttributeNames: NAMES },
            },
          },
        },
      },
      ReturnConsumedCapacity: 'string',
    },
    { ConsumedCapacity: { list: CONSUMED }, Responses: { list: { structure: 'ItemResponse', members: { Item: ITEM } } } },
  ),
};

/** @type {import('./types').Service} */
module.exports = {
  signing: 'dynamodb',
  client: 'DynamoDBClient',
  aggregate: 'DynamoDB',
  base: 'DynamoDBServiceException',
  errors: ['DynamoDBServiceException'],
  refusals: {
    ConditionalCheckFailedException: { Item: ITEM },
    ItemCollectionSizeLimitExceededException: {},
    ResourceNotFoundException: {},
    ValidationException: {},
  },
  json: { target: 'DynamoDB_20120810', version: '1.0' },
  commands,
  get protocol() {
    return require('./json.js');
  },
};
