// SPDX-License-Identifier: Apache-2.0
'use strict';

/** What programs see, written down as plain data: with types and order, without what differs from run to run. */

const { Readable } = require('node:stream');
const util = require('node:util');

/** Members that say when, where or by whom an answer was made. */
const VOLATILE = new Set([
  'requestId',
  'RequestId',
  'extendedRequestId',
  'HostId',
  'stack',
  'date',
  'connection',
  'x-amz-request-id',
  'x-amz-id-2',
  'keep-alive',
]);
/** What keeps no order of its own. */
const UNORDERED = new Set(['Metadata', 'headers']);

/** @typedef {new (...args: any[]) => any} Class any class */

/** Outcomes, which are written down already. */
const outcomes = new WeakSet();

/**
 * `value` as JSON has it, with types where JSON has none.
 * @param {any} value
 * @param {string} [name] of the member that it is
 * @returns {any}
 */
function plain(value, name) {
  if (value === null || value === undefined || typeof value !== 'object') {
    return typeof value === 'function'
      ? ['function', value.name]
      : typeof value === 'string'
        ? value
        : [typeof value, String(value)];
  }
  if (outcomes.has(value)) {
    return value;
  }
  if (value instanceof Date) {
    return ['Date', Number.isNaN(value.getTime()) ? 'invalid' : 'a time'];
  }
  if (value instanceof Uint8Array) {
    return [value.constructor.name, Buffer.from(value).toString('latin1')];
  }
  if (value instanceof Readable) {
    return ['stream', value.constructor.name];
  }
  if (value instanceof Error) {
    return failure(value);
  }
  if (value instanceof Set || value instanceof Map) {
    return [value.constructor.name, ...[...value].map((item) => plain(item))];
  }
  if (Array.isArray(value)) {
    return value.map((item) => plain(item));
  }
  const members = Object.entries(value).filter(([key]) => !VOLATILE.has(key));
  if (UNORDERED.has(name ?? '')) {
    members.sort();
  }
  const written = members.map(([key, item]) => [key, key === 'last-modified' ? 'a time' : plain(item, key)]);
  return [`${Object.getPrototypeOf(value)?.constructor?.name}`, ...written];
}

/**
 * What an error is in JSON, if it can be: in some releases one holds its answer, which holds itself.
 * @param {any} error
 */
function json(error) {
  try {
    return plain(JSON.parse(JSON.stringify(error)));
  } catch (problem) {
    return String(problem).split('\n')[0];
  }
}

/**
 * An error as plain data.
 * @param {any} error
 */
function failure(error) {
  /** @type {string[]} */
  const kinds = [];
  for (let kind = Object.getPrototypeOf(error); kind; kind = Object.getPrototypeOf(kind)) {
    kinds.push(kind.constructor?.name);
  }
  const members = Object.getOwnPropertyNames(error).filter((key) => !VOLATILE.has(key));
  return {
    kinds: kinds.filter((kind, at) => kind !== kinds[at - 1]),
    text: String(error),
    json: json(error),
    members: members.map((key) => [key, Object.prototype.propertyIsEnumerable.call(error, key), plain(error[key], key)]),
    stack: String(error.stack).split('\n')[0],
    isNative: util.types.isNativeError(error),
  };
}

/**
 * Leaves members of this name out of what is written down.
 * @param {string} name
 */
function volatile(name) {
  VOLATILE.add(name);
}

/**
 * What something comes to.
 * @param {() => unknown} run
 */
async function outcome(run) {
  /** @type {object} */
  let seen;
  try {
    seen = { result: plain(await run()) };
  } catch (error) {
    seen = { error: error instanceof Error ? failure(error) : plain(error) };
  }
  outcomes.add(seen);
  return seen;
}

module.exports = { failure, outcome, plain, volatile };
