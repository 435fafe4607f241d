// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Values of documents in JSON. One that is not of its kind is for a real client. */

const { HAND_OVER } = require('./hand-over.js');

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/**
 * @param {any} value
 * @returns {string}
 */
function text(value) {
  return typeof value === 'string' ? value : refuse();
}

/**
 * @param {any} value
 * @returns {boolean}
 */
function flag(value) {
  return typeof value === 'boolean' ? value : refuse();
}

/**
 * @param {any} value
 * @returns {number}
 */
function number(value) {
  return Number.isFinite(value) ? value : refuse();
}

/**
 * @param {any} value
 * @returns {number}
 */
function integer(value) {
  return Number.isSafeInteger(value) ? value : refuse();
}

/**
 * Bytes as a document has them.
 * @param {any} value
 */
function encoded(value) {
  if (!(value instanceof Uint8Array)) {
    return refuse();
  }
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
}

/**
 * Bytes as a program has them.
 * @param {any} value
 */
function bytes(value) {
  if (!BASE64.test(text(value))) {
    return refuse();
  }
  const { buffer, byteOffset, byteLength } = Buffer.from(value, 'base64');
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/**
 * A time, of seconds since 1970.
 * @param {any} value
 */
function time(value) {
  return new Date(Math.round(number(value) * 1000));
}

/**
 * A list whose items are converted.
 * @param {any} value
 * @param {(value: any) => unknown} convert
 */
function each(value, convert) {
  return Array.isArray(value) ? Array.from(value, (item) => convert(item)) : refuse();
}

/**
 * @param {any} value
 * @returns {Record<string, any>}
 */
function object(value) {
  if (value === null || typeof value !== 'object') {
    return refuse();
  }
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null ? value : refuse();
}

/**
 * A map whose values are converted.
 * @param {any} value
 * @param {(value: any) => unknown} convert
 */
function map(value, convert) {
  /** @type {Record<string, unknown>} */
  const result = {};
  for (const [key, item] of Object.entries(object(value))) {
    result[key === '__proto__' ? refuse() : key] = convert(item);
  }
  return result;
}

/**
 * @returns {never}
 */
function refuse() {
  throw HAND_OVER;
}

module.exports = { bytes, each, encoded, flag, integer, map, number, object, refuse, text, time };
