// SPDX-License-Identifier: Apache-2.0
'use strict';

/** What the gateway is asked to sign: a guest has no key that a store knows. */

const { HAND_OVER } = require('./hand-over.js');

/** What a header can hold as it is. */
const PLAIN = /^[ -~]*$/;

/**
 * @typedef {object} Asked what is to be signed
 * @property {string} region
 * @property {string} operation
 * @property {string} method
 * @property {string} target
 * @property {Iterable<readonly [name: string, value: string]>} headers what is to be signed with it, or says how
 */

/** @type {{ channel: typeof import('./channel'), xml: typeof import('./xml') } | undefined} */
let parts;

/** What it takes to ask, loaded with the first one and kept: a program may clear `require.cache`. */
function forAsking() {
  parts ??= { channel: require('./channel.js'), xml: require('./xml.js') };
  return parts;
}

/**
 * Asks the gateway to sign.
 * @param {Asked} asked
 * @param {Uint8Array} [body]
 */
function ask({ region, operation, method, target, headers }, body) {
  let head = `s3\0${region}\0${operation}\0${method}\0${target}\0`;
  for (const [name, value] of headers) {
    if (!PLAIN.test(value)) {
      throw new TypeError(`The gateway does not sign what a header does not hold as it is: ${name}.`);
    }
    head += `${name}\0${value}\0`;
  }
  return forAsking().channel.request(head, body);
}

/**
 * What the gateway signed, or the error that it gave in its place: what a placeholder signed would be good for nobody.
 * @param {import('./types').Answer} answer
 */
async function signed(answer) {
  const text = (await answer.whole()).toString();
  if (answer.status !== 200) {
    throw refusal(answer.status, text);
  }
  return text;
}

/**
 * @param {number} status
 * @param {string} text a document of S3's
 */
function refusal(status, text) {
  /** @type {import('./types').Content} */
  let content = '';
  try {
    [, content] = forAsking().xml.parse(text);
  } catch (error) {
    if (error !== HAND_OVER) {
      throw error;
    }
  }
  const said = (/** @type {string} */ name) => typeof content !== 'string' && content.get(name)?.[0];
  const error = new Error(String(said('Message') || `The gateway does not sign this: ${text || status}`));
  error.name = String(said('Code') || 'UnknownError');
  return Object.assign(error, { $fault: 'client', $metadata: { httpStatusCode: status } });
}

module.exports = { ask, signed };
