// SPDX-License-Identifier: Apache-2.0
'use strict';

/** DynamoDB's attribute values: objects with one member, which is named after the value's type. */

const { HAND_OVER } = require('./hand-over.js');
const values = require('./values.js');

/** @typedef {Record<string, any>} Attribute */

/**
 * @typedef {object} Codec what becomes of the value of one type
 * @property {(value: any) => unknown} write
 * @property {(value: any) => unknown} read
 */

const text = { write: values.text, read: values.text };
const flag = { write: values.flag, read: values.flag };
const texts = { write: listOf(values.text), read: listOf(values.text) };

/** @type {Record<string, Codec>} */
const TYPES = {
  S: text,
  N: text,
  B: { write: values.encoded, read: values.bytes },
  BOOL: flag,
  NULL: flag,
  M: { write: mapOf(write), read: mapOf(read) },
  L: { write: listOf(write), read: listOf(read) },
  SS: texts,
  NS: texts,
  BS: { write: listOf(values.encoded), read: listOf(values.bytes) },
};

/**
 * @param {(value: any) => unknown} each
 */
function listOf(each) {
  return (/** @type {any} */ value) => values.each(value, each);
}

/**
 * @param {(value: any) => unknown} each
 */
function mapOf(each) {
  return (/** @type {any} */ value) => values.map(value, each);
}

/**
 * @param {any} value
 * @returns {Attribute}
 */
function write(value) {
  return convert(value, 'write');
}

/**
 * @param {any} value
 * @returns {Attribute}
 */
function read(value) {
  return convert(value, 'read');
}

/**
 * @param {any} value
 * @param {'read' | 'write'} way
 */
function convert(value, way) {
  const members = Object.keys(values.object(value));
  const [type] = members;
  if (type === undefined || members.length > 1 || !Object.hasOwn(TYPES, type)) {
    throw HAND_OVER;
  }
  return { [type]: /** @type {Codec} */ (TYPES[type])[way](value[type]) };
}

module.exports = { read, write };
