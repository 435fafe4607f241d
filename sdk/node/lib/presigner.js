// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * What the shim knows of `@aws-sdk/s3-request-presigner`: URLs that let whoever has them make one call. The gateway signs them,
 * since a guest has no key that a store knows.
 */

const { callOf, isAsMade, realOf } = require('./client.js');
const { HAND_OVER } = require('./hand-over.js');
const release = require('./release.js');

/** @typedef {import('./facade').Package} Package */

/** For how long a URL is valid, unless something is said of it, in seconds. */
const USUAL = 900;
const LONGEST = 7 * 24 * 60 * 60;
/** Headers with this in front are parameters of a URL, */
const PARAMETER = 'x-amz-';
/** but for those, which are signed with it as others are. */
const SIGNED = 'x-amz-server-side-encryption';
/** Of those that an input gives, what is in no signature of the SDK's. */
const UNSIGNED = ['content-type', 'cache-control'];

/** @type {{ signing: typeof import('./signing'), request: typeof import('./request'), rest: typeof import('./rest') } | undefined} */
let parts;

/** What it takes to sign, loaded with the first URL and kept: a program may clear `require.cache`. */
function forSigning() {
  parts ??= { signing: require('./signing.js'), request: require('./request.js'), rest: require('./rest.js') };
  return parts;
}

/**
 * The function that makes URLs.
 * @param {Package} owner
 */
function makeGetSignedUrl(owner) {
  const getSignedUrl = async (/** @type {any} */ client, /** @type {any} */ command, /** @type {any} */ options = {}) => {
    try {
      return await sign(client, command, options);
    } catch (error) {
      if (error !== HAND_OVER) {
        throw error;
      }
    }
    const { getResignedUrl } = /** @type {typeof import('./resigned')} */ (require('./resigned.js'));
    return getResignedUrl(owner.real()['getSignedUrl'], realOf(client), command, options);
  };
  return getSignedUrl;
}

/**
 * @param {any} client
 * @param {any} command
 * @param {any} options
 */
async function sign(client, command, options) {
  const call = callOf(client, command);
  const { expiresIn = USUAL, ...others } = options ?? { unknown: options };
  const isPlain = Object.keys(others).length === 0 && Number.isSafeInteger(expiresIn) && expiresIn > 0 && expiresIn <= LONGEST;
  if (call?.owner.service.signing !== 's3' || !isPlain) {
    throw HAND_OVER;
  }
  const { owner, region } = call;
  const operation = /** @type {import('./types').RestOperation} */ (call.operation);
  const { request, rest, signing } = forSigning();
  const { target, fields } = request.withoutBody(owner, operation, command.input);
  const headers = headersOf(fields);
  if (operation.stream && owner.release >= release.CHECKS) {
    headers.push(['x-amz-checksum-mode', 'ENABLED']);
  }
  const query = headers.map(([name]) => name).filter((name) => name.startsWith(PARAMETER) && !name.startsWith(SIGNED));
  headers.push(['x-nexus-presign', String(expiresIn)]);
  if (query.length > 0) {
    headers.push(['x-nexus-presign-query', query.join(';')]);
  }
  // What a program has put into a client changes its URLs.
  if (!(await isAsMade(client))) {
    throw HAND_OVER;
  }
  let answer, content;
  try {
    answer = await signing.ask({ region, operation: operation.name, method: operation.method, target, headers });
    content = await answer.whole();
  } catch {
    throw HAND_OVER;
  }
  if (answer.status !== 200) {
    // The policy of the function: a URL that it does not allow would not be good for anybody.
    throw await rest.error(owner, operation, answer);
  }
  return content.toString();
}

/**
 * The headers of a request that have to do with a URL for it.
 * @param {string} fields names and values in turn
 */
function headersOf(fields) {
  const texts = fields.split('\0');
  /** @type {[name: string, value: string][]} */
  const headers = [];
  for (let at = 0; at + 1 < texts.length; at += 2) {
    const [name, value] = /** @type {[string, string]} */ (texts.slice(at, at + 2));
    if (!UNSIGNED.includes(name)) {
      headers.push([name, value]);
    }
  }
  return headers;
}

/** @type {import('./types').Service} */
module.exports = {
  errors: [],
  commands: {},
  others: (owner, name) => (name === 'getSignedUrl' ? makeGetSignedUrl(owner) : undefined),
};
