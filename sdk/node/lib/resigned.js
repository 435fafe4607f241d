// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * URLs that the image's own package makes, with all that a client, a command and options may say of them. It signs them with the
 * placeholder of a guest, and the gateway signs the same request anew.
 */

const { ENDPOINT } = require('./environment.js');
const signing = require('./signing.js');

/** Parameters of a signature. */
const SIGNATURE = /^X-Amz-(?:Algorithm|Content-Sha256|Credential|Date|Expires|Security-Token|SignedHeaders|Signature)$/;
const ALGORITHM = 'AWS4-HMAC-SHA256';
/** In front of this, which the package adds, a request is complete. */
const SIGNER = 'presignInterceptMiddleware';
const DATE = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;

/**
 * @typedef {object} Request a request, as it is before it is signed
 * @property {string} method
 * @property {Map<string, string>} headers by their names in lower case
 */

/**
 * @param {(client: any, command: any, options: any) => Promise<string>} getSignedUrl the package's own
 * @param {any} client
 * @param {any} command
 * @param {any} options
 */
async function getResignedUrl(getSignedUrl, client, command, options) {
  const stack = command?.middlewareStack;
  if (typeof stack?.addRelativeTo !== 'function') {
    return getSignedUrl(client, command, options);
  }
  /** @type {Request | undefined} */
  let seen;
  const look = (/** @type {Function} */ next) => (/** @type {any} */ args) => {
    const { method, headers } = args.request ?? {};
    const named = Object.entries(headers ?? {}).map(
      ([name, value]) => /** @type {const} */ ([name.toLowerCase(), String(value)]),
    );
    seen = { method, headers: new Map(named) };
    return next(args);
  };
  stack.addRelativeTo(look, { relation: 'before', toMiddleware: SIGNER });
  let text;
  try {
    text = await getSignedUrl(client, command, options);
  } finally {
    stack.remove(look);
  }
  const asked = seen && toAsk(new URL(text), seen, command, options?.signingDate !== undefined);
  return asked === undefined ? text : signing.signed(await signing.ask(asked));
}

/**
 * What the gateway is to sign in place of a URL; undefined if it leads somewhere else, or is signed in another way.
 * @param {URL} url
 * @param {Request} request
 * @param {any} command
 * @param {boolean} isDated whether the program has said when it begins to be valid
 * @returns {import('./signing').Asked | undefined}
 */
function toAsk({ protocol, host, pathname, search, searchParams }, { method, headers }, command, isDated) {
  const told = (/** @type {string} */ name) => searchParams.get(`X-Amz-${name}`) ?? '';
  const [service, region] = told('Credential').split('/').slice(-3, -1).reverse();
  if (`${protocol}//${host}` !== ENDPOINT || told('Algorithm') !== ALGORITHM || service !== 's3' || region === undefined) {
    return undefined;
  }
  const signed = told('SignedHeaders').split(';');
  if (!signed.every((name) => name === 'host' || headers.has(name))) {
    return undefined;
  }
  const query = [...headers.keys()].filter((name) => name.startsWith('x-amz-') && searchParams.has(name));
  const isOwn = (/** @type {string} */ part) => {
    const name = decodeURIComponent(part.replace(/=.*$/s, ''));
    return SIGNATURE.test(name) || query.includes(name);
  };
  const rest = search
    .slice(1)
    .split('&')
    .filter((part) => !isOwn(part));
  /** @type {[name: string, value: string][]} */
  const asked = [...signed, ...query].filter((name) => name !== 'host').map((name) => [name, headers.get(name) ?? '']);
  asked.push(['x-nexus-presign', told('Expires')], ['x-nexus-presign-signed', signed.join(';')]);
  if (query.length > 0) {
    asked.push(['x-nexus-presign-query', query.join(';')]);
  }
  if (signed.includes('content-length')) {
    asked.push(['x-nexus-presign-length', headers.get('content-length') ?? '']);
  }
  if (isDated) {
    asked.push(['x-nexus-presign-date', secondsOf(told('Date'))]);
  }
  return {
    region,
    operation: String(command.constructor.name).replace(/Command$/, ''),
    method,
    target: pathname + (rest.length > 0 ? `?${rest.join('&')}` : ''),
    headers: asked,
  };
}

/**
 * A date as signatures have it, in seconds since 1970.
 * @param {string} text
 */
function secondsOf(text) {
  return String(Date.parse(text.replace(DATE, '$1-$2-$3T$4:$5:$6Z')) / 1000);
}

module.exports = { getResignedUrl };
