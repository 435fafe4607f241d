// SPDX-License-Identifier: Apache-2.0
'use strict';

/** How values of the kinds that a service's model has are read and written, as the installed release does it. */

const attributes = require('./attributes.js');
const members = require('./members.js');
const values = require('./values.js');

/** @typedef {import('./facade').Package} Package */
/** @typedef {import('./types').JsonKind} JsonKind */
/** @typedef {import('./types').Structure} Structure */
/** @typedef {(value: any) => any} Convert */

/** @type {Record<string, Convert>} */
const WRITERS = {
  string: values.text,
  integer: values.integer,
  boolean: values.flag,
  blob: values.encoded,
  attribute: attributes.write,
};

/** @type {Record<string, Convert>} */
const READERS = {
  string: values.text,
  integer: values.integer,
  number: values.number,
  boolean: values.flag,
  blob: values.bytes,
  time: values.time,
  attribute: attributes.read,
};

/**
 * What makes parts of a document of a program's values.
 * @param {Package} owner
 * @param {JsonKind} kind
 * @returns {Convert}
 */
function writer(owner, kind) {
  return typeof kind === 'string'
    ? /** @type {Convert} */ (WRITERS[kind])
    : composite(
        kind,
        (inner) => writer(owner, inner),
        (each) => structureWriter(owner, each),
      );
}

/**
 * What makes a program's values of parts of a document.
 * @param {Package} owner
 * @param {JsonKind} kind
 * @returns {Convert}
 */
function reader(owner, kind) {
  return typeof kind === 'string'
    ? /** @type {Convert} */ (READERS[kind])
    : composite(
        kind,
        (inner) => reader(owner, inner),
        (each) => structureReader(owner, each),
      );
}

/**
 * @param {Exclude<JsonKind, string>} kind
 * @param {(kind: JsonKind) => Convert} convert
 * @param {(kind: Structure) => Convert} structure
 * @returns {Convert}
 */
function composite(kind, convert, structure) {
  if ('list' in kind) {
    const each = convert(kind.list);
    return (value) => values.each(value, each);
  }
  if ('map' in kind) {
    const each = convert(kind.map);
    return (value) => values.map(value, each);
  }
  return structure(kind);
}

/**
 * @param {Package} owner
 * @param {Structure} kind
 * @returns {Convert}
 */
function structureWriter(owner, { structure, members: kinds }) {
  const known = members.of(owner, structure, 'input');
  const writers = new Map(
    Object.entries(kinds)
      .filter(([name]) => known?.includes(name) ?? true)
      .map(([name, kind]) => [name, writer(owner, kind)]),
  );
  return (value) => {
    /** @type {Record<string, any>} */
    const result = {};
    for (const [name, item] of Object.entries(values.object(value))) {
      if (item !== undefined) {
        result[name] = (writers.get(name) ?? values.refuse)(item);
      }
    }
    return result;
  };
}

/**
 * @param {Package} owner
 * @param {Structure} kind
 * @returns {Convert}
 */
function structureReader(owner, { structure, members: kinds }) {
  const known = members.of(owner, structure, 'output');
  if (known === undefined) {
    return asItIs;
  }
  const readers = known.map((name) => {
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    return /** @type {[string, Convert]} */ ([name, kind === undefined ? values.refuse : reader(owner, kind)]);
  });
  return (value) => {
    values.object(value);
    /** @type {Record<string, any>} */
    const result = {};
    for (const [name, read] of readers) {
      const item = value[name];
      if (item !== undefined && item !== null) {
        result[name] = read(item);
      }
    }
    return result;
  };
}

/**
 * A value with all that is in it but nulls.
 * @param {any} value
 * @returns {any}
 */
function asItIs(value) {
  if (Array.isArray(value)) {
    return value.filter((item) => item !== null).map(asItIs);
  }
  if (value === null || typeof value !== 'object') {
    return value;
  }
  /** @type {Record<string, any>} */
  const result = {};
  for (const [name, item] of Object.entries(value)) {
    if (item !== null) {
      result[name] = asItIs(item);
    }
  }
  return result;
}

/**
 * Whether a release may answer with members that are not known here.
 * @param {Package} owner
 * @param {JsonKind} kind
 * @returns {boolean}
 */
function hasMore(owner, kind) {
  if (typeof kind === 'string') {
    return false;
  }
  if ('list' in kind || 'map' in kind) {
    return hasMore(owner, 'list' in kind ? kind.list : kind.map);
  }
  const { structure, members: kinds } = kind;
  return (members.of(owner, structure, 'output') ?? []).some((name) => {
    const each = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    return each === undefined || hasMore(owner, each);
  });
}

module.exports = { hasMore, reader, writer };
