// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Items of DynamoDB as JavaScript's own values. */

const { outcome } = require('../../plain.cjs');

/** The package, loaded by those cases only that use it. */
function lib() {
  return /** @type {any} */ (require('@aws-sdk/lib-dynamodb'));
}

/** A client beneath. */
function dynamo() {
  /** @type {any} */
  const { DynamoDBClient } = require('@aws-sdk/client-dynamodb');
  return new DynamoDBClient({});
}

/**
 * A client of the ordinary kind.
 * @param {any} [translation]
 */
function documents(translation) {
  return lib().DynamoDBDocumentClient.from(dynamo(), translation);
}

/** @type {Record<string, () => unknown>} */
module.exports = {
  async documents() {
    const sdk = lib();
    const TableName = 'documents';
    const client = documents();
    const Key = { id: 'a', n: 1.5 };
    const Item = {
      ...Key,
      int: 7,
      negative: -0.1,
      bytes: Buffer.from('\0b'),
      more: new Uint8Array([1, 2]),
      strings: new Set(['x', 'y']),
      numbers: new Set([1, 2]),
      blobs: new Set([new Uint8Array([1])]),
      big: 12345678901234567890n,
      nested: { list: [null, true, { deep: -0.5 }, []], empty: '', none: {} },
      map: new Map([['k', 'v']]),
      nothing: null,
      method() {},
    };
    const seen = [
      await client.send(new sdk.PutCommand({ TableName, Item, ReturnConsumedCapacity: 'TOTAL' })),
      await client.send(new sdk.GetCommand({ TableName, Key })),
      await client.send(new sdk.GetCommand({ TableName, Key: { id: 'no', n: 0 } })),
      await client.send(
        new sdk.UpdateCommand({
          TableName,
          Key,
          UpdateExpression: 'SET #i = #i + :one, l = :list',
          ConditionExpression: 'attribute_exists(#i)',
          ExpressionAttributeNames: { '#i': 'int' },
          ExpressionAttributeValues: { ':one': 1, ':list': [1, 'two', { three: 3 }] },
          ReturnValues: 'UPDATED_NEW',
        }),
      ),
      await client.send(
        new sdk.QueryCommand({
          TableName,
          KeyConditionExpression: 'id = :i and n between :a and :b',
          ExpressionAttributeValues: { ':i': 'a', ':a': 1, ':b': 2 },
        }),
      ),
      await client.send(new sdk.ScanCommand({ TableName, FilterExpression: 'n > :z', ExpressionAttributeValues: { ':z': 0 } })),
      await client.send(new sdk.DeleteCommand({ TableName, Key, ReturnValues: 'ALL_OLD' })),
    ];
    return [...seen, client.destroy(), client instanceof sdk.DynamoDBDocumentClient, client instanceof sdk.DynamoDBDocument];
  },

  async documentBatches() {
    const sdk = lib();
    const client = documents({ marshallOptions: { removeUndefinedValues: true } });
    const items = Array.from({ length: 4 }, (_, n) => ({ id: 'a', n, gone: undefined, even: n % 2 === 0 }));
    const RequestItems = { documentBatches: items.map((Item) => ({ PutRequest: { Item } })) };
    const keys = items.map(({ id, n }) => ({ id, n }));
    const seen = [
      await client.send(new sdk.BatchWriteCommand({ RequestItems, ReturnConsumedCapacity: 'TOTAL' })),
      await client.send(new sdk.BatchGetCommand({ RequestItems: { documentBatches: { Keys: keys } } })),
      await client.send(
        new sdk.BatchWriteCommand({ RequestItems: { documentBatches: [{ DeleteRequest: { Key: keys[0] } }] } }),
      ),
    ];
    const page = await client.send(new sdk.ScanCommand({ TableName: 'documentBatches', Limit: 2 }));
    seen.push(page);
    seen.push(
      await client.send(
        new sdk.ScanCommand({ TableName: 'documentBatches', ExclusiveStartKey: page.LastEvaluatedKey, Select: 'COUNT' }),
      ),
    );
    for await (const { Items } of sdk.paginateScan({ client, pageSize: 2 }, { TableName: 'documentBatches' })) {
      seen.push(Items);
    }
    return seen;
  },

  async documentOptions() {
    const sdk = lib();
    const TableName = 'documentOptions';
    const Item = { id: 'a', n: 1, empty: '', undefined };
    const all = { removeUndefinedValues: true, convertEmptyValues: true, convertClassInstanceToMap: true };
    const seen = [
      await documents({ marshallOptions: all }).send(new sdk.PutCommand({ TableName, Item: { ...Item, made: new Date(0) } })),
      await documents({ unmarshallOptions: { wrapNumbers: true } }).send(
        new sdk.GetCommand({ TableName, Key: { id: 'a', n: 1 } }),
      ),
      await documents({ unmarshallOptions: { wrapNumbers: (/** @type {string} */ text) => `number ${text}` } }).send(
        new sdk.GetCommand({ TableName, Key: { id: 'a', n: 1 } }),
      ),
      await documents({ unmarshallOptions: {} }).send(new sdk.GetCommand({ TableName, Key: { id: 'a', n: 1n } })),
    ];
    if (sdk.NumberValue) {
      const precise = sdk.NumberValue.from('1.00000000000000000000000000000000001');
      seen.push(await documents().send(new sdk.PutCommand({ TableName, Item: { id: 'p', n: 2, precise } })));
      seen.push(await outcome(() => documents().send(new sdk.GetCommand({ TableName, Key: { id: 'p', n: 2 } }))));
      seen.push([precise, precise instanceof sdk.NumberValue]);
    }
    const given = { marshallOptions: {}, unmarshallOptions: {} };
    await documents(given).send(new sdk.GetCommand({ TableName, Key: { id: 'p', n: 2 } }));
    return [...seen, given];
  },

  async documentsRefused() {
    const sdk = lib();
    const TableName = 'documentsRefused';
    const seen = [];
    const values = [undefined, { deep: undefined }, NaN, Infinity, 2 ** 60, new Set(), new Set([{}]), new Date(0), Symbol('x')];
    for (const value of [...values, [undefined], new Set([1, 'x']), new Set([undefined])]) {
      seen.push(await outcome(() => documents().send(new sdk.PutCommand({ TableName, Item: { id: 'a', n: 1, value } }))));
    }
    for (const input of [
      {},
      { TableName },
      { TableName, Key: null },
      { TableName, Key: 'text' },
      { TableName: 'no', Key: { id: 1 } },
    ]) {
      seen.push(await outcome(() => documents().send(new sdk.GetCommand(input))));
    }
    const condition = 'attribute_exists(id)';
    seen.push(
      await outcome(() =>
        documents().send(new sdk.PutCommand({ TableName, Item: { id: 'a', n: 5 }, ConditionExpression: condition })),
      ),
    );
    // A number that no number holds.
    await dynamo().send(
      new (require('@aws-sdk/client-dynamodb').PutItemCommand)({
        TableName,
        Item: { id: { S: 'a' }, n: { N: '1' }, huge: { N: '1.5e100' } },
      }),
    );
    seen.push(await outcome(() => documents().send(new sdk.GetCommand({ TableName, Key: { id: 'a', n: 1 } }))));
    const Key = { id: 'a', n: 1 };
    seen.push(await outcome(() => documents().send(new sdk.DeleteCommand({ TableName, Key, ReturnValues: 'ALL_OLD' }))));
    seen.push(await outcome(() => documents().send(new sdk.GetCommand({ TableName, Key }))));
    return seen;
  },

  async documentMethods() {
    const sdk = lib();
    const TableName = 'documentMethods';
    const inner = dynamo();
    const client = sdk.DynamoDBDocument.from(inner);
    const Key = { id: 'a', n: 1 };
    const seen = [
      await client.put({ TableName, Item: { ...Key, x: [1] } }),
      await client.get({ TableName, Key }),
      await new Promise((resolve) => client.get({ TableName, Key }, (/** @type {unknown[]} */ ...given) => resolve(given))),
      await client.update({ TableName, Key, UpdateExpression: 'SET y = :y', ExpressionAttributeValues: { ':y': 2 } }),
      await client.query({ TableName, KeyConditionExpression: 'id = :i', ExpressionAttributeValues: { ':i': 'a' } }),
      await client.scan({ TableName }),
      await client.batchGet({ RequestItems: { [TableName]: { Keys: [Key] } } }),
      await client.batchWrite({ RequestItems: { [TableName]: [{ DeleteRequest: { Key } }] } }),
      await client.delete({ TableName, Key }),
      [client instanceof sdk.DynamoDBDocument, client instanceof sdk.DynamoDBDocumentClient, client.constructor.name],
      await outcome(() => client.get({ TableName, Key }, 'text', () => {})),
      // A real client from here on.
      await client.transactWrite({ TransactItems: [{ Put: { TableName, Item: { ...Key, z: true } } }] }),
      await client.get({ TableName, Key }),
      typeof client.config.translateConfig,
      client.config === inner.config,
      client.middlewareStack === inner.middlewareStack,
      client instanceof sdk.DynamoDBDocument,
    ];
    return seen;
  },

  async documentsChanged() {
    const sdk = lib();
    const TableName = 'documentsChanged';
    const client = documents();
    const [Key, tags] = [{ id: 'a', n: 1 }, ['first']];
    const input = { TableName, Item: { ...Key, text: 'first', tags } };
    const sent = client.send(new sdk.PutCommand(input));
    tags[0] = input.Item.text = input.TableName = 'second';
    const seen = [await sent, await client.send(new sdk.GetCommand({ TableName, Key }))];
    const wrong = { TableName, Item: { ...Key, text: /** @type {any} */ (() => {}), more: /** @type {any} */ (undefined) } };
    const refused = outcome(() => client.send(new sdk.PutCommand(wrong)));
    Object.assign(wrong.Item, { text: 'good', more: 'good' });
    return [...seen, await refused, await client.send(new sdk.GetCommand({ TableName, Key }))];
  },

  async documentCommands() {
    const sdk = lib();
    const TableName = 'documentCommands';
    const inner = dynamo();
    const client = new sdk.DynamoDBDocumentClient(inner);
    const command = new sdk.GetCommand({ TableName, Key: { id: 'a', n: 1 } });
    const seen = [
      command.input,
      command.constructor.name,
      command instanceof sdk.GetCommand,
      command instanceof sdk.PutCommand,
    ];
    seen.push(await client.send(command), await client.send(new sdk.GetCommand(command.input)));
    seen.push(Object.keys(command.inputKeyNodes), command.clientCommand.constructor.name, typeof command.middlewareStack.add);
    // A release that converts the input of a command anew each time has it sent once only.
    seen.push(await client.send(new sdk.GetCommand(command.input)));
    // The client beneath becomes a real one by itself.
    inner.middlewareStack.add((/** @type {any} */ next) => (/** @type {any} */ args) => next(args), { step: 'initialize' });
    seen.push(await client.send(new sdk.GetCommand({ TableName, Key: { id: 'a', n: 1 } })));
    seen.push(await outcome(() => sdk.DynamoDBDocumentClient.from({})), await outcome(() => new sdk.DynamoDBDocumentClient()));
    const { GetItemCommand } = require('@aws-sdk/client-dynamodb');
    seen.push(await outcome(() => documents().send(new GetItemCommand({ TableName, Key: { id: { S: 'a' }, n: { N: '1' } } }))));
    seen.push(await outcome(() => dynamo().send(new sdk.GetCommand({ TableName, Key: { id: 'a', n: 1 } }))));
    const module = await import('@aws-sdk/lib-dynamodb');
    const names = Object.keys(module).filter((name) => name !== 'module.exports');
    seen.push(names, module.GetCommand === sdk.GetCommand, typeof sdk.paginateQuery);
    return seen;
  },
};
