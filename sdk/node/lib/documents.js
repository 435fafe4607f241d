// SPDX-License-Identifier: Apache-2.0
'use strict';

/** XML documents, read by the shape that an operation has for them. */

const { HAND_OVER } = require('./hand-over.js');
const dates = require('./dates.js');
const xml = require('./xml.js');

/** @typedef {import('./types').Shape} Shape */
/** @typedef {import('./types').Member} Member */
/** @typedef {import('./types').Content} Content */

/**
 * The members that a document has.
 * @param {Shape} shape
 * @param {Buffer} data
 * @param {boolean} isSorted whether they come by their names, and not as the shape has them
 */
function read(shape, data, isSorted) {
  const [name, content] = xml.parse(data.toString());
  // An error that was found only when the status had been sent: real clients make such a call again.
  if (name === 'Error') {
    throw HAND_OVER;
  }
  return structure(isSorted ? sorted(shape) : shape, content);
}

/**
 * @param {Shape} shape
 */
function sorted(shape) {
  return [...shape].sort(([one], [other]) => (one < other ? -1 : 1));
}

/**
 * @param {Shape} shape
 * @param {Content} content
 */
function structure(shape, content) {
  if (typeof content === 'string') {
    throw HAND_OVER;
  }
  /** @type {Record<string, unknown>} */
  const result = {};
  for (const member of shape) {
    const [name] = member;
    const values = content.get(member[1] === 'list' ? member[2] : name);
    if (values !== undefined) {
      result[name] = value(member, values);
    }
  }
  return result;
}

/**
 * @param {Member} member
 * @param {Content[]} values
 */
function value(member, values) {
  const [, kind] = member;
  if (kind === 'list') {
    const inner = member[3];
    return values.map((each) => (typeof inner === 'string' ? scalar(inner, each) : structure(inner, each)));
  }
  const [first] = values;
  if (first === undefined || values.length > 1) {
    throw HAND_OVER;
  }
  return kind === 'structure' ? structure(member[2], first) : scalar(kind, first);
}

/**
 * @param {'string' | 'integer' | 'boolean' | 'time'} kind
 * @param {Content} content
 */
function scalar(kind, content) {
  if (typeof content !== 'string') {
    throw HAND_OVER;
  }
  if (kind === 'string') {
    return content;
  }
  if (kind === 'time') {
    return dates.ofDocument(content);
  }
  if (kind === 'boolean' ? content !== 'true' && content !== 'false' : !/^\d{1,15}$/.test(content)) {
    throw HAND_OVER;
  }
  return kind === 'boolean' ? content === 'true' : Number(content);
}

module.exports = { read };
