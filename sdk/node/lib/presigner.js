// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * What the shim knows of `@aws-sdk/s3-request-presigner`: URLs that let whoever has them make one call. The gateway signs them,
 * since a guest has no key that a store knows.
 */

const { callOf, isAsMade } = require('./client.js');
const { HAND_OVER } = require('./hand-over.js');

/** @typedef {import('./facade').Package} Package */

/** For how long a URL is valid, unless something is said of it, in seconds. */
const USUAL = 900;
const LONGEST = 7 * 24 * 60 * 60;
/** The headers that the gateway signs a URL with as the SDK does. Others of S3's would be in the query, and the rest is not signed. */
const SIGNED = 'x-amz-server-side-encryption';

/** @type {{ channel: typeof import('./channel'), request: typeof import('./request'), rest: typeof import('./rest') } | undefined} */
let parts;

/** What it takes to sign, loaded with the first URL and kept: a program may clear `require.cache`. */
function forSigning() {
  parts ??= { channel: require('./channel.js'), request: require('./request.js'), rest: require('./rest.js') };
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
    return owner.real()['getSignedUrl'](client, command, options);
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
  const { owner, region, operation } = call;
  // The type that a body has is not part of what is signed.
  const { ContentType, ...input } = command.input;
  const { target, fields } = forSigning().request.withoutBody(owner, /** @type {any} */ (operation), input);
  const names = fields.split('\0').filter((_, at) => at % 2 === 0);
  if (!names.every((name) => name === '' || name.startsWith(SIGNED))) {
    throw HAND_OVER;
  }
  const { channel, rest } = forSigning();
  const head = `s3\0${region}\0${operation.name}\0${operation.method}\0${target}\0${fields}x-nexus-presign\0${expiresIn}\0`;
  // What a program has put into a client changes its URLs.
  if (!(await isAsMade(client))) {
    throw HAND_OVER;
  }
  let answer, content;
  try {
    answer = await channel.request(head, undefined);
    content = await answer.whole();
  } catch {
    throw HAND_OVER;
  }
  if (answer.status !== 200) {
    // The policy of the function: a URL that it does not allow would not be good for anybody.
    throw await rest.error(owner, /** @type {any} */ (operation), answer);
  }
  return content.toString();
}

/** @type {import('./types').Service} */
module.exports = {
  errors: [],
  commands: {},
  others: (owner, name) => (name === 'getSignedUrl' ? makeGetSignedUrl(owner) : undefined),
};
