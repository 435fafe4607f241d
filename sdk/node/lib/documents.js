// SPDX-License-Identifier: Apache-2.0
'use strict';

/** XML documents, read and written by the shape that an operation has for them. */

const { HAND_OVER } = require('./hand-over.js');
const dates = require('./dates.js');
const xml = require('./xml.js');

/** @typedef {import('./types').Shape} Shape */
/** @typedef {import('./types').Member} Member */
/** @typedef {import('./types').Content} Content */

/** Text that a document can hold. */
const TEXT = /^[ -~\u00a0-\ud7ff]+$/;

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

/**
 * The document that a parameter is.
 * @param {string} name of its root
 * @param {Shape} shape
 * @param {any} given
 */
function write(name, shape, given) {
  const content = elements(shape, given);
  return `<?xml version="1.0" encoding="UTF-8"?><${name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${content}</${name}>`;
}

/**
 * @param {Shape} shape
 * @param {any} given
 */
function elements(shape, given) {
  if (given === null || typeof given !== 'object') {
    throw HAND_OVER;
  }
  const { ...rest } = given;
  let content = '';
  for (const member of shape) {
    const [name] = member;
    if (rest[name] !== undefined) {
      content += element(member, rest[name]);
      delete rest[name];
    }
  }
  // Something that this shape does not have: a later release's, or a mistake.
  if (Object.values(rest).some((other) => other !== undefined)) {
    throw HAND_OVER;
  }
  return content;
}

/**
 * @param {Member} member
 * @param {any} given
 * @returns {string}
 */
function element(member, given) {
  const [name, kind] = member;
  if (kind === 'structure') {
    return `<${name}>${elements(member[2], given)}</${name}>`;
  }
  if (kind !== 'list') {
    return `<${name}>${written(kind, given)}</${name}>`;
  }
  if (!Array.isArray(given)) {
    throw HAND_OVER;
  }
  const [, , wire, inner, isWrapped] = member;
  const items = Array.from(given, (item) => {
    const content = typeof inner === 'string' ? written(inner, item) : elements(inner, item);
    return `<${wire}>${content}</${wire}>`;
  });
  return isWrapped ? `<${name}>${items.join('')}</${name}>` : items.join('');
}

/**
 * @param {import('./types').Scalar} kind
 * @param {any} given
 */
function written(kind, given) {
  if (kind === 'string' && typeof given === 'string' && TEXT.test(given)) {
    return given.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
  }
  if (kind === 'integer' ? Number.isSafeInteger(given) : kind === 'boolean' && typeof given === 'boolean') {
    return String(given);
  }
  throw HAND_OVER;
}

module.exports = { read, write };
