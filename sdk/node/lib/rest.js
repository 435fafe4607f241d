// SPDX-License-Identifier: Apache-2.0
'use strict';

/** S3's protocol: parameters in paths, queries and headers, documents in XML. */

const { HAND_OVER } = require('./hand-over.js');
const { output } = require('./output.js');
const { request } = require('./request.js');

/** @typedef {import('./facade').Package} Package */
/** @typedef {import('./types').RestOperation} Operation */
/** @typedef {import('./types').Answer} Answer */

/** Errors of status 400 after which real clients do not make a call again. */
const REFUSALS = new Set([
  'BadDigest',
  'EntityTooSmall',
  'InvalidArgument',
  'InvalidPart',
  'InvalidPartOrder',
  'InvalidRequest',
  'MalformedXML',
]);
/** Members that errors have of themselves. */
const OWN = new Set(['name', 'stack', 'cause', '$fault', '$metadata', '$response', '$retryable']);

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
async function error(owner, operation, answer) {
  const data = await answer.whole();
  /** @type {Record<string, string>} */
  const fields = {};
  if (data.length > 0) {
    const { parse } = /** @type {typeof import('./xml')} */ (require('./xml.js'));
    const [name, content] = parse(data.toString());
    if (name !== 'Error' || typeof content === 'string') {
      throw HAND_OVER;
    }
    for (const [field, [value, ...others]] of content) {
      if (typeof value !== 'string' || others.length > 0 || OWN.has(field)) {
        throw HAND_OVER;
      }
      fields[field] = value;
    }
  }
  if (answer.status === 400 && !(operation.isFinal && REFUSALS.has(fields['Code'] ?? ''))) {
    throw HAND_OVER;
  }
  const { make } = /** @type {typeof import('./errors')} */ (require('./errors.js'));
  return make(owner, operation, answer, fields['Code'] ?? (answer.status === 404 ? 'NotFound' : undefined), fields);
}

module.exports = { error, output, prepare, request };
