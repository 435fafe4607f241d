// SPDX-License-Identifier: Apache-2.0
'use strict';

/** From a command's input to a message, as S3's protocol has it. */

const { Crc32 } = require('./crc32.js');
const { HAND_OVER } = require('./hand-over.js');
const release = require('./release.js');
const { encoded } = require('./uri.js');

/** @typedef {import('./facade').Package} Package */
/** @typedef {import('./types').RestOperation} Operation */
/** @typedef {import('./types').Fields} Fields */
/** @typedef {import('./types').Kind} Kind */
/** @typedef {import('./types').Shape} Shape */

const BUCKET = /^(?!.*(?:--|\.\.|-s3alias$))[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
/** Text that a header can hold, and that comes out as it went in. */
const HEADER = /^[!-~](?:[ -~]*[!-~])?$/;
const METADATA = /^[A-Za-z0-9_-]+$/;
/** What is not encoded in a path. */
const PLAIN_PATH = /^[A-Za-z0-9_.~/-]+$/;

/**
 * The message for a call.
 * @param {Package} owner
 * @param {Operation} operation
 * @param {any} input
 */
function request(owner, operation, input) {
  const fields = gather(owner, operation, input);
  if (operation.stream && owner.release >= release.CHECKS) {
    fields.headers += 'x-amz-checksum-mode\0ENABLED\0';
  }
  if (operation.type) {
    finishBody(owner, operation, operation.type, fields);
  }
  const message = { target: target(operation, input, fields), fields: fields.headers, body: fields.body };
  if (operation.type) {
    noteChecksum(owner, operation, input);
  }
  return message;
}

/**
 * The message for a call that somebody else makes, who has the body.
 * @param {Package} owner
 * @param {Operation} operation
 * @param {any} input
 */
function withoutBody(owner, operation, input) {
  const fields = gather(owner, operation, input);
  const isWhole = operation.type === undefined || operation.input['Body']?.[0] === 'body';
  if (!isWhole || fields.body !== undefined || fields.length !== undefined || fields.checksum !== undefined) {
    throw HAND_OVER;
  }
  return { target: target(operation, input, fields), fields: fields.headers };
}

/**
 * What parameters come to.
 * @param {Package} owner
 * @param {Operation} operation
 * @param {any} input
 */
function gather(owner, operation, input) {
  const prototype = Object.getPrototypeOf(input);
  if (prototype !== Object.prototype && prototype !== null) {
    throw HAND_OVER;
  }
  const { Bucket, Key, ...rest } = input;
  /** @type {Fields} */
  const fields = {
    headers: '',
    query: operation.query ?? '',
    body: undefined,
    length: undefined,
    hasType: false,
    checksum: undefined,
  };
  for (const name in rest) {
    if (rest[name] !== undefined) {
      place(owner, operation, fields, name, rest[name]);
    }
  }
  if (operation.required?.some((name) => rest[name] === undefined)) {
    throw HAND_OVER;
  }
  return fields;
}

/**
 * @param {Operation} operation
 * @param {any} input
 * @param {Fields} fields
 */
function target(operation, { Bucket, Key }, { query }) {
  return `/${bucket(Bucket)}/${operation.hasKey ? key(Key) : ''}${query && `?${query}`}`;
}

/**
 * Puts one parameter where it belongs.
 * @param {Package} owner
 * @param {Operation} operation
 * @param {Fields} fields
 * @param {string} name
 * @param {any} value
 */
function place(owner, operation, fields, name, value) {
  const [where, wire, kind, since] = Object.hasOwn(operation.input, name)
    ? /** @type {Operation['input'][string]} */ (operation.input[name])
    : [];
  if (since !== undefined && owner.release < since) {
    throw HAND_OVER;
  }
  switch (where) {
    case 'header':
      fields.headers += `${wire}\0${header(text(kind, value))}\0`;
      fields.hasType ||= name === 'ContentType';
      break;
    case 'query':
      fields.query += `${fields.query && '&'}${wire}=${encoded(text(kind, value))}`;
      break;
    case 'headers':
      fields.headers += metadata(/** @type {string} */ (wire), value);
      break;
    case 'body':
      fields.body = bytes(value);
      break;
    case 'document': {
      const { write } = /** @type {typeof import('./documents')} */ (require('./documents.js'));
      fields.body = Buffer.from(write(/** @type {string} */ (wire), /** @type {Shape} */ (operation.content), value));
      break;
    }
    case 'length':
      fields.length = value;
      break;
    case 'checksum':
      fields.checksum = value;
      break;
    case 'nowhere':
      break;
    default:
      throw HAND_OVER;
  }
}

/**
 * @param {Package} owner
 * @param {Operation} operation
 * @param {string} type
 * @param {Fields} fields
 */
function finishBody(owner, operation, type, fields) {
  const isChecked = owner.release >= release.CHECKS && !operation.isUnchecked;
  const { body, length, checksum: algorithm } = fields;
  const isMade = algorithm === undefined || (isChecked && algorithm === 'CRC32');
  if (body === undefined || (length !== undefined && length !== body.length) || !isMade) {
    throw HAND_OVER;
  }
  if (!fields.hasType) {
    fields.headers += `content-type\0${type}\0`;
  }
  if (isChecked) {
    const checksum = new Crc32();
    checksum.update(body);
    fields.headers += `x-amz-sdk-checksum-algorithm\0CRC32\0x-amz-checksum-crc32\0${checksum.text()}\0`;
  }
}

/**
 * Tells a program which checksum was made, as real clients do of an input that they have not copied.
 * @param {Package} owner
 * @param {Operation} operation
 * @param {any} input
 */
function noteChecksum(owner, operation, input) {
  if (operation.isCopied || owner.release < release.CHECKS || input.ChecksumAlgorithm !== undefined) {
    return;
  }
  if (!Reflect.set(input, 'ChecksumAlgorithm', 'CRC32')) {
    throw HAND_OVER;
  }
}

/**
 * @param {Kind | undefined} kind
 * @param {any} value
 */
function text(kind, value) {
  if (kind === 'date' && value instanceof Date && !Number.isNaN(value.getTime())) {
    return value.toUTCString();
  }
  if (
    typeof value === 'string'
      ? kind === 'string'
      : kind === 'integer'
        ? Number.isSafeInteger(value)
        : kind === typeof value && kind === 'boolean'
  ) {
    return String(value);
  }
  throw HAND_OVER;
}

/**
 * @param {string} value
 */
function header(value) {
  if (!HEADER.test(value)) {
    throw HAND_OVER;
  }
  return value;
}

/**
 * @param {string} prefix
 * @param {any} value
 */
function metadata(prefix, value) {
  let fields = '';
  const names = new Set();
  for (const [name, content] of Object.entries(value ?? [])) {
    if (!METADATA.test(name) || typeof content !== 'string' || names.has(name.toLowerCase())) {
      throw HAND_OVER;
    }
    names.add(name.toLowerCase());
    fields += `${prefix}${name.toLowerCase()}\0${header(content)}\0`;
  }
  return fields;
}

/**
 * @param {any} value
 * @returns {Uint8Array}
 */
function bytes(value) {
  if (typeof value === 'string') {
    return Buffer.from(value);
  }
  if (value instanceof Uint8Array) {
    return value;
  }
  throw HAND_OVER;
}

/**
 * @param {any} name
 */
function bucket(name) {
  if (!isPlainBucket(name)) {
    throw HAND_OVER;
  }
  return name;
}

/**
 * Whether a name is that of a bucket, and of nothing else that may stand in its place.
 * @param {any} name
 */
function isPlainBucket(name) {
  return typeof name === 'string' && BUCKET.test(name);
}

/**
 * @param {any} name
 */
function key(name) {
  if (typeof name !== 'string' || name === '') {
    throw HAND_OVER;
  }
  return PLAIN_PATH.test(name) ? name : name.split('/').map(encoded).join('/');
}

module.exports = { isPlainBucket, request, withoutBody };
