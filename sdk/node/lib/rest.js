// SPDX-License-Identifier: Apache-2.0
'use strict';

/** S3's protocol: parameters in paths, queries and headers, documents in XML. */

const { output } = require('./output.js');
const { request } = require('./request.js');

/** @typedef {import('./facade').Package} Package */
/** @typedef {import('./types').RestOperation} Operation */
/** @typedef {import('./types').Answer} Answer */

/**
 * An input whose body can be sent, if it takes time to make it of the one that is given.
 * @param {Operation} operation
 * @param {any} input
 */
function prepare(operation, input) {
  const isStream = operation.input['Body']?.[0] === 'body' && typeof input.Body?.pipe === 'function';
  return isStream ? require('./file-body.js').read(input) : undefined;
}

/**
 * The error that an answer is.
 * @param {Package} owner
 * @param {Operation} operation
 * @param {Answer} answer
 */
function error(owner, operation, answer) {
  const { read } = /** @type {typeof import('./xml-errors')} */ (require('./xml-errors.js'));
  return read(owner, operation, answer);
}

module.exports = { error, output, prepare, request };
