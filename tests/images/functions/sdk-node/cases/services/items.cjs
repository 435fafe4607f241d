// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Items of DynamoDB. */

const { outcome } = require('../../plain.cjs');

/** @typedef {import('../../plain.cjs').Class} Class */

/** The package, loaded by those cases only that use it. */
function client() {
  return /** @type {any} */ (require('@aws-sdk/client-dynamodb'));
}

const key = { id: { S: 'ä"\\\n\u2028😀' }, n: { N: '1.50' } };

/**
 * @param {Class} command
 * @param {any} input
 */
function send(command, input) {
  const { DynamoDBClient } = client();
  return new DynamoDBClient({}).send(new command(input));
}

/** @type {Record<string, () => unknown>} */
module.exports = {
  async itemsChanged() {
    const sdk = client();
    const dynamo = new sdk.DynamoDBClient({});
    const Key = { ...key, n: { N: '1' } };
    const input = { TableName: 'none', Item: { ...Key, text: { S: 'first' } } };
    const sent = dynamo.send(new sdk.PutItemCommand(input));
    input.TableName = 'itemsChanged';
    input.Item.text.S = 'second';
    const seen = [await sent];
    // One input for many calls.
    const texts = ['a', 'b', 'c'].map((text) => {
      input.Item.text = { S: text };
      return dynamo.send(new sdk.PutItemCommand({ ...input, ReturnValues: 'ALL_OLD' }));
    });
    // Which of them is the first, nobody says.
    const old = (/** @type {any} */ { Attributes }) => JSON.stringify(Attributes);
    seen.push(await outcome(async () => (await Promise.all(texts)).sort((a, b) => old(a).localeCompare(old(b)))));
    return [...seen, await send(sdk.GetItemCommand, { TableName: 'itemsChanged', Key })];
  },

  async items() {
    const sdk = client();
    const TableName = 'items';
    const dynamo = new sdk.DynamoDBClient({ region: 'us-east-1' });
    const Item = {
      ...key,
      b: { B: Buffer.from('\0bytes') },
      e: { B: new Uint8Array() },
      bs: { BS: [new Uint8Array([1]), Buffer.from('2')] },
      m: { M: { x: { L: [{ S: '' }, { NULL: true }, { BOOL: false }] }, 'y y': { M: {} } } },
      ss: { SS: ['a', 'b'] },
      ns: { NS: ['1', '2.5'] },
    };
    return [
      await dynamo.send(new sdk.PutItemCommand({ TableName, Item, ReturnConsumedCapacity: 'TOTAL' })),
      await dynamo.send(new sdk.GetItemCommand({ TableName, Key: key, ConsistentRead: true })),
      await dynamo.send(new sdk.GetItemCommand({ TableName, Key: { id: { S: 'no' }, n: { N: '1' } } })),
      await dynamo.send(
        new sdk.UpdateItemCommand({
          TableName,
          Key: key,
          UpdateExpression: 'SET #c = if_not_exists(#c, :zero) + :one REMOVE m',
          ExpressionAttributeNames: { '#c': 'count' },
          ExpressionAttributeValues: { ':one': { N: '1' }, ':zero': { N: '0' } },
          ReturnValues: 'ALL_NEW',
          ReturnConsumedCapacity: 'INDEXES',
        }),
      ),
      await dynamo.send(
        new sdk.QueryCommand({
          TableName,
          KeyConditionExpression: 'id = :id',
          ExpressionAttributeValues: { ':id': key.id },
          ScanIndexForward: false,
          ReturnConsumedCapacity: 'TOTAL',
        }),
      ),
      await dynamo.send(new sdk.ScanCommand({ TableName, Limit: 5, Select: 'COUNT' })),
      await dynamo.send(new sdk.DeleteItemCommand({ TableName, Key: key, ReturnValues: 'ALL_OLD' })),
      await dynamo.send(new sdk.DeleteItemCommand({ TableName, Key: key, ReturnValues: undefined })),
    ];
  },

  async itemsAggregated() {
    const sdk = client();
    const dynamo = new sdk.DynamoDB({});
    const TableName = 'itemsAggregated';
    return [
      await dynamo.putItem({ TableName, Item: key }),
      await dynamo.getItem({ TableName, Key: key }),
      await new Promise((resolve) => dynamo.scan({ TableName }, (/** @type {unknown[]} */ ...given) => resolve(given))),
      dynamo instanceof sdk.DynamoDBClient,
      await dynamo.listTables({ Limit: 1 }),
      await dynamo.getItem({ TableName, Key: key }),
    ];
  },

  async itemsLegacy() {
    const sdk = client();
    const TableName = 'itemsLegacy';
    await send(sdk.PutItemCommand, { TableName, Item: key });
    const condition = { id: { AttributeValueList: [key.id], ComparisonOperator: 'EQ' } };
    return [
      await outcome(() => send(sdk.QueryCommand, { TableName, KeyConditions: condition })),
      await outcome(() => send(sdk.ScanCommand, { TableName, ScanFilter: condition })),
      await outcome(() => send(sdk.GetItemCommand, { TableName, Key: key, AttributesToGet: ['id'] })),
    ];
  },

  async batches() {
    const sdk = client();
    const puts = Array.from({ length: 5 }, (_, number) => ({
      PutRequest: { Item: { id: { S: 'a' }, n: { N: `${number}` } } },
    }));
    const keys = puts.slice(0, 3).map(({ PutRequest }) => PutRequest.Item);
    const seen = [
      await send(sdk.BatchWriteItemCommand, { RequestItems: { batches: puts }, ReturnConsumedCapacity: 'TOTAL' }),
      await send(sdk.BatchGetItemCommand, { RequestItems: { batches: { Keys: keys } }, ReturnConsumedCapacity: 'TOTAL' }),
      await send(sdk.BatchWriteItemCommand, { RequestItems: { batches: [{ DeleteRequest: { Key: keys[0] } }] } }),
      await send(sdk.TransactGetItemsCommand, {
        TransactItems: keys.map((Key) => ({ Get: { TableName: 'batches', Key } })),
      }),
      await send(sdk.QueryCommand, {
        TableName: 'batches',
        Limit: 2,
        KeyConditionExpression: 'id = :i',
        ExpressionAttributeValues: { ':i': { S: 'a' } },
      }),
    ];
    const pages = sdk.paginateScan({ client: new sdk.DynamoDBClient({}), pageSize: 2 }, { TableName: 'batches' });
    for await (const { Items } of pages) {
      seen.push(Items.length);
    }
    return seen;
  },

  async itemsRefused() {
    const sdk = client();
    const TableName = 'itemsRefused';
    const attempts = [
      ['Get', { TableName }],
      ['Get', { TableName, Key: { id: { S: 5 } } }],
      ['Get', { TableName, Key: { id: { X: 'a' } } }],
      ['Get', { TableName, Key: { id: {} } }],
      ['Get', { TableName, Key: [] }],
      ['Get', { TableName, Key: null }],
      ['Get', { TableName: '', Key: key }],
      ['Get', { TableName: 'nothing', Key: key }],
      ['Get', { TableName, Key: key, Unknown: 1 }],
      ['Put', { TableName, Item: { id: 'plain' } }],
      ['Put', { TableName, Item: { ...key, x: { S: 'a', N: '1' } } }],
      ['Put', { TableName, Item: { ...key, x: undefined } }],
      ['Put', { TableName, Item: { ...key, x: { L: [undefined, null] } } }],
      ['Put', { TableName, Item: { ...key, x: { B: 'text' } } }],
      ['Put', { TableName, Item: key, ConditionExpression: 'attribute_exists(nope)' }],
    ];
    const seen = [];
    for (const [name, input] of attempts) {
      seen.push(await outcome(() => send(sdk[`${name}ItemCommand`], input)));
    }
    seen.push(await outcome(() => send(sdk.QueryCommand, { TableName, Limit: 0 })));
    seen.push(await outcome(() => send(sdk.QueryCommand, { TableName, Limit: '5' })));
    return seen;
  },

  async itemErrors() {
    const sdk = client();
    const TableName = 'itemErrors';
    const dynamo = new sdk.DynamoDBClient({});
    const put = () =>
      dynamo
        .send(new sdk.PutItemCommand({ TableName, Item: key, ConditionExpression: 'attribute_exists(id)' }))
        .catch((/** @type {unknown} */ error) => error);
    const before = sdk.ConditionalCheckFailedException;
    const seen = [];
    for (const error of [await put(), await put()]) {
      seen.push(error, error.name, error.$fault, error.$metadata.httpStatusCode, error.message);
      seen.push(
        error instanceof before,
        error instanceof sdk.DynamoDBServiceException,
        error instanceof sdk.ResourceNotFoundException,
      );
      seen.push(error instanceof sdk.ConditionalCheckFailedException, error.constructor === before, error instanceof Error);
    }
    return seen;
  },

  async itemExports() {
    const sdk = client();
    const { DynamoDBClient, GetItemCommand } = await import('@aws-sdk/client-dynamodb');
    const kinds = Object.keys(sdk)
      .sort()
      .map((name) => [name, typeof sdk[name], Array.isArray(sdk[name])]);
    return [kinds, DynamoDBClient === sdk.DynamoDBClient, GetItemCommand === sdk.GetItemCommand, sdk.ReturnValue];
  },
};
