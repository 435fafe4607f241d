// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * What the shim knows of `@aws-sdk/lib-dynamodb`: clients for DynamoDB that take and give JavaScript's own values.
 *
 * Values are converted by the installed package itself (`@aws-sdk/util-dynamodb`), which needs nothing else of the SDK.
 */

const { createRequire } = require('node:module');

const calls = require('./calls.js');
const { copy } = require('./copies.js');
const { handOver, insteadOf } = require('./hand-over.js');

/** @typedef {import('./facade').Package} Package */
/** @typedef {import('./types').Class} Class */

/**
 * Where in an input or an output there are values to convert.
 * @typedef {{ [member: string]: Nodes }} Nodes
 */

/**
 * @typedef {object} Operation
 * @property {string} command DynamoDB's own
 * @property {boolean | undefined} isRead
 * @property {Nodes} input
 * @property {Nodes} output
 */

/**
 * All values of a map, one by one.
 * @type {Nodes}
 */
const ALL = {};
/** @type {Nodes} */
const KEYS = { '*': { Keys: { '*': ALL } } };
/** @type {Nodes} */
const WRITES = { '*': { '*': { PutRequest: { Item: ALL }, DeleteRequest: { Key: ALL } } } };
/** @type {Nodes} */
const COLLECTION = { ItemCollectionKey: ALL };
/** @type {Nodes} */
const WRITTEN = { Attributes: ALL, ItemCollectionMetrics: COLLECTION };
/** @type {Nodes} */
const FIND = { ExclusiveStartKey: ALL, ExpressionAttributeValues: ALL };
/** @type {Nodes} */
const FOUND = { Items: { '*': ALL }, LastEvaluatedKey: ALL };

/** @type {Record<string, Operation>} */
const commands = {
  GetCommand: { command: 'GetItemCommand', isRead: true, input: { Key: ALL }, output: { Item: ALL } },
  PutCommand: {
    command: 'PutItemCommand',
    isRead: false,
    input: { Item: ALL, ExpressionAttributeValues: ALL },
    output: WRITTEN,
  },
  UpdateCommand: {
    command: 'UpdateItemCommand',
    isRead: false,
    input: { Key: ALL, ExpressionAttributeValues: ALL },
    output: WRITTEN,
  },
  DeleteCommand: {
    command: 'DeleteItemCommand',
    isRead: false,
    input: { Key: ALL, ExpressionAttributeValues: ALL },
    output: WRITTEN,
  },
  QueryCommand: { command: 'QueryCommand', isRead: true, input: FIND, output: FOUND },
  ScanCommand: { command: 'ScanCommand', isRead: true, input: FIND, output: FOUND },
  BatchGetCommand: {
    command: 'BatchGetItemCommand',
    isRead: true,
    input: { RequestItems: KEYS },
    output: { Responses: { '*': { '*': ALL } }, UnprocessedKeys: KEYS },
  },
  BatchWriteCommand: {
    command: 'BatchWriteItemCommand',
    isRead: false,
    input: { RequestItems: WRITES },
    output: { UnprocessedItems: WRITES, ItemCollectionMetrics: { '*': { '*': COLLECTION } } },
  },
};

/**
 * The installed packages' converters. They are kept: a program may clear `require.cache`, and their classes must stay the same.
 * @type {WeakMap<Package, any>}
 */
const converters = new WeakMap();

/** The methods that clients have for commands. */
const METHODS = ['get', 'put', 'update', 'delete', 'query', 'scan', 'batchGet', 'batchWrite'];

/**
 * The converter that a package uses.
 * @param {Package} owner
 */
function converter(owner) {
  let found = converters.get(owner);
  if (found === undefined) {
    found = createRequire(owner.filename)('@aws-sdk/util-dynamodb');
    converters.set(owner, found);
  }
  return found;
}

/**
 * What is known of a client for which there is one of DynamoDB that is not real.
 * @param {Package} owner
 * @param {any[]} args
 * @param {WeakMap<object, any>} clients
 * @returns {import('./types').Begun | undefined}
 */
function begin(owner, args, clients) {
  const [inner, translation] = args;
  const isDynamo = inner !== null && typeof inner === 'object' && clients.get(inner)?.owner.service.signing === 'dynamodb';
  if (!isDynamo || (translation !== undefined && (translation === null || typeof translation !== 'object'))) {
    return undefined;
  }
  return {
    args: [inner, translation],
    inner,
    make: (dynamo, region, operation, input) => make(owner, translation, { owner: dynamo, region }, operation, input),
  };
}

/**
 * Makes a call.
 * @param {Package} owner
 * @param {any} translation how values are to be converted
 * @param {{ owner: Package, region: string }} dynamo
 * @param {Operation} operation
 * @param {any} input
 */
async function make(owner, translation, dynamo, operation, input) {
  const { marshallOptions = {}, unmarshallOptions = {} } = translation || {};
  marshallOptions.convertTopLevelContainer = marshallOptions.convertTopLevelContainer ?? true;
  unmarshallOptions.convertWithoutMapWrapper = unmarshallOptions.convertWithoutMapWrapper ?? true;
  const { marshall, unmarshall } = converter(owner);
  // Values are converted at once, also by a real client: what the program changes later is not sent.
  let given = input;
  let marshalled;
  try {
    given = copy(input);
    marshalled = members(input, operation.input, (value) => marshall(value, marshallOptions));
  } catch {
    // A real client says what is wrong with it.
    throw handOver(given, false);
  }
  const inner = /** @type {import('./types').JsonOperation} */ (dynamo.owner.service.commands[operation.command]);
  let output;
  try {
    output = await calls.run(dynamo.owner, dynamo.region, inner, marshalled);
  } catch (error) {
    // A release may do something with errors. Those that are known leave them alone.
    const isChanged = '$response' in /** @type {object} */ (error) && owner.text().includes('catch');
    throw insteadOf(error) || isChanged ? handOver(given, false) : error;
  }
  try {
    return members(output, operation.output, (value) => unmarshall(value, unmarshallOptions));
  } catch (error) {
    if (operation.isRead) {
      throw handOver(given, false);
    }
    /** @type {any} */ (error).$metadata ??= { attempts: 1, totalRetryDelay: 0 };
    throw error;
  }
}

/**
 * A copy of an object, in which some members are converted.
 * @param {any} object
 * @param {Nodes} nodes
 * @param {(value: any) => unknown} convert
 * @returns {any}
 */
function members(object, nodes, convert) {
  /** @type {any} */
  const result = Array.isArray(object) ? object.filter(isData) : Object.fromEntries(Object.entries(object).filter(hasData));
  for (const [name, inner] of Object.entries(nodes)) {
    const value = isData(object[name]) ? part(object[name], inner, convert) : undefined;
    if (isData(value) && value !== undefined) {
      result[name] = value;
    }
  }
  return result;
}

/**
 * @param {any} value
 * @param {Nodes} nodes
 * @param {(value: any) => unknown} convert
 * @returns {unknown}
 */
function part(value, nodes, convert) {
  const [name, ...others] = Object.keys(nodes);
  if (value === undefined) {
    return undefined;
  }
  if (name !== undefined && (name !== '*' || others.length > 0)) {
    return members(value, nodes, convert);
  }
  const inner = nodes['*'];
  if (inner !== undefined) {
    return every(value ?? {}, (item) => part(item, inner, convert));
  }
  const converted = every(value, (item) => (item === undefined ? undefined : convert(item)));
  // What came to nothing has no place among members.
  return Array.isArray(converted) ? converted : Object.fromEntries(Object.entries(converted).filter(isThere));
}

/**
 * A copy of an object or a list, all of which is converted.
 * @param {any} value
 * @param {(value: any) => unknown} convert
 */
function every(value, convert) {
  if (Array.isArray(value)) {
    return value.filter(isData).map(convert);
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(hasData)
      .map(([key, item]) => [key, convert(item)]),
  );
}

/**
 * @param {any} value
 */
function isData(value) {
  return typeof value !== 'function';
}

/**
 * @param {[string, any]} entry
 */
function hasData([, value]) {
  return isData(value);
}

/**
 * @param {[string, any]} entry
 */
function isThere([, value]) {
  return value !== undefined && isData(value);
}

/**
 * @param {Package} owner
 */
function methods(owner) {
  /** @type {Record<string, unknown>} */
  const made = {};
  for (const name of METHODS) {
    const command = `${name.charAt(0).toUpperCase()}${name.slice(1)}Command`;
    const { [name]: method } = {
      /**
       * @this {any}
       * @param {any} args
       * @param {any} [optionsOrCb]
       * @param {any} [cb]
       */
      [name](args, optionsOrCb, cb) {
        const sent = new /** @type {Class} */ (owner.exports[command])(args);
        if (typeof optionsOrCb === 'function') {
          this.send(sent, optionsOrCb);
          return undefined;
        }
        if (typeof cb === 'function') {
          if (typeof optionsOrCb !== 'object') {
            throw new Error(`Expect http options but get ${typeof optionsOrCb}`);
          }
          this.send(sent, optionsOrCb || {}, cb);
          return undefined;
        }
        return this.send(sent, optionsOrCb);
      },
    };
    made[name] = method;
  }
  return made;
}

/**
 * @param {Class} made
 */
function complete(made) {
  Object.defineProperty(made, 'from', {
    value: (/** @type {unknown} */ client, /** @type {unknown} */ translation) => new made(client, translation),
    writable: true,
    configurable: true,
  });
}

/** The client beneath belongs to somebody else. */
function destroy() {}

/** @type {import('./types').Service} */
module.exports = {
  client: 'DynamoDBDocumentClient',
  aggregate: 'DynamoDBDocument',
  errors: [],
  commands,
  begin,
  complete,
  destroy,
  methods,
  others: (owner, name) => (name === 'NumberValue' ? converter(owner).NumberValueImpl : undefined),
};
