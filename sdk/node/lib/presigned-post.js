// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * What the shim knows of `@aws-sdk/s3-presigned-post`: forms that let whoever has them upload an object. The gateway signs them, for
 * every client that it answers.
 */

const { plainOf } = require('./client.js');
const { ENDPOINT } = require('./environment.js');

/** @typedef {import('./facade').Package} Package */

/** For how long a form is valid, unless something is said of it, in seconds. */
const USUAL = 3600;
/** The fields that a signature brings, as the SDK calls them. */
const NAMES = ['X-Amz-Algorithm', 'X-Amz-Credential', 'X-Amz-Date', 'X-Amz-Security-Token', 'Policy', 'X-Amz-Signature'];

/** @type {{ signing: typeof import('./signing'), request: typeof import('./request'), uri: typeof import('./uri') } | undefined} */
let parts;

/** What it takes to ask for a form, loaded with the first one and kept: a program may clear `require.cache`. */
function forForms() {
  parts ??= { signing: require('./signing.js'), request: require('./request.js'), uri: require('./uri.js') };
  return parts;
}

/**
 * The function that makes forms.
 * @param {Package} owner
 */
function makeCreatePresignedPost(owner) {
  const createPresignedPost = async (/** @type {any} */ client, /** @type {any} */ asked) => {
    const region = plainOf(client)?.region;
    if (region !== undefined && isPlain(asked)) {
      return make(region, asked);
    }
    // Where a client leads is known of what it makes: that may be said in the environment, and in files.
    const form = await owner.real()['createPresignedPost'](client, asked);
    if (!isOfGateway(form)) {
      return form;
    }
    if (!isPlain(asked)) {
      throw new TypeError('The gateway signs forms with fields that are text, for a whole number of seconds.');
    }
    return make(await client.config.region(), asked);
  };
  return createPresignedPost;
}

/**
 * Whether a form goes to the gateway, which has to sign it then.
 * @param {any} form
 */
function isOfGateway(form) {
  return String(form?.url).startsWith(`${ENDPOINT}/`);
}

/**
 * Whether what is asked for can be said to the gateway. What is wrong with the rest, the package says.
 * @param {any} asked
 */
function isPlain(asked) {
  const { Bucket, Key, Conditions = [], Fields, Expires = USUAL } = asked ?? {};
  return (
    forForms().request.isPlainBucket(Bucket) &&
    typeof Key === 'string' &&
    Key !== '' &&
    Array.isArray(Conditions) &&
    Object.values(Fields ?? {}).every((value) => typeof value === 'string') &&
    Number.isSafeInteger(Expires) &&
    Expires > 0
  );
}

/**
 * @param {string} region
 * @param {any} asked
 */
async function make(region, { Bucket, Key, Conditions = [], Fields, Expires = USUAL }) {
  const { signing, uri } = forForms();
  const fields = { ...Fields, bucket: Bucket };
  const key = Key.split('/').map(uri.escaped).join('/');
  const exact = Object.entries(fields).map(([name, value]) => ({ [name]: value }));
  const answer = await signing.ask(
    {
      region,
      operation: 'PutObject',
      method: 'POST',
      target: `/${Bucket}/${key}`,
      headers: [['x-nexus-presign-post', String(Expires)]],
    },
    Buffer.from(JSON.stringify([...Conditions, ...exact])),
  );
  const [url, ...lines] = (await signing.signed(answer)).split('\n');
  const given = new Map(lines.map((line) => /** @type {[string, string]} */ (line.split(' ', 2))));
  /** @type {Record<string, string>} */
  const made = fields;
  for (const name of NAMES) {
    const value = given.get(name.toLowerCase());
    if (name === 'Policy') {
      made['key'] = Key;
    }
    if (value !== undefined) {
      made[name] = value;
    }
  }
  return { url, fields: made };
}

/** @type {import('./types').Service} */
module.exports = {
  errors: [],
  commands: {},
  others: (owner, name) => (name === 'createPresignedPost' ? makeCreatePresignedPost(owner) : undefined),
};
