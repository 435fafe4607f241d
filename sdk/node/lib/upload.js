// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * What the shim knows of `@aws-sdk/lib-storage`: itself.
 *
 * The package cuts bodies into parts, sends some of them at once and tells how far it is; it is small, and what it uses is large. So
 * its own text is run, with the facade for its client, and with the few functions that it needs in place of the packages that they
 * are of. All that it does is then done as this release does it.
 */

const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

const client = require('./client.js');
const environment = require('./environment.js');
const release = require('./release.js');
const { escaped } = require('./uri.js');

const Module = /** @type {import('./types').ModuleClass} */ (/** @type {unknown} */ (require('node:module')));

/** @typedef {import('./facade').Package} Package */
/** @typedef {import('./types').Exports} Exports */

const CLIENT = '@aws-sdk/client-s3';
/** Packages that are small, and used as they are. */
const SMALL = new Set(['@smithy/abort-controller']);
/** Packages of which some functions are used, which say where an object is to be found. */
const LARGE = new Set([
  '@smithy/core/endpoints',
  '@smithy/core/protocols',
  '@smithy/middleware-endpoint',
  '@smithy/smithy-client',
]);
/** Functions that are called only where a configuration does not name an endpoint. */
const LATE = ['getEndpointFromInstructions', 'toEndpointV1'];

/** Where an upload asks for its client's configuration, which only real clients have: a member of it, a call of one, or all of it. */
const ASKS = /this\.client\.config((?:\.\w+(?:\(\))?)?)/g;
/** What stands there instead. Where the client is asked all the same, an error says so in the same words. */
const INSTEAD = '(configOf(this) ? configOf(this)$1 : this.client.config$1)';

/** @type {WeakMap<Package, Exports>} */
const loaded = new WeakMap();

/** @type {typeof import('./request') | undefined} */
let requests;

/**
 * What the package exports.
 * @param {Package} owner
 * @returns {Exports}
 */
function exportsOf(owner) {
  let found = loaded.get(owner);
  if (found === undefined) {
    found = run(owner) ?? owner.real();
    loaded.set(owner, found);
  }
  return found;
}

/**
 * Runs the text of the package; undefined if that does not do.
 * @param {Package} owner
 * @returns {Exports | undefined}
 */
function run(owner) {
  const { filename } = owner;
  const module = { exports: {} };
  const given = {
    exports: module.exports,
    require: requireFor(owner),
    module,
    __filename: filename,
    __dirname: path.dirname(filename),
    configOf: (/** @type {any} */ upload) => configOf(owner, upload),
  };
  try {
    const text = fs.readFileSync(filename, 'utf8').replace(ASKS, INSTEAD);
    vm.compileFunction(text, Object.keys(given), { filename }).apply(module.exports, Object.values(given));
  } catch {
    return undefined;
  }
  return module.exports;
}

/**
 * `require` for the package.
 * @param {Package} owner
 * @returns {(name: string) => any}
 */
function requireFor(owner) {
  const find = Module.createRequire(owner.filename);
  return (name) => {
    if (name === CLIENT) {
      const sdk = find(CLIENT);
      // The list of all algorithms is found in a text that is long.
      return before({ ChecksumAlgorithm: before({ CRC32: 'CRC32' }, () => sdk.ChecksumAlgorithm) }, () => sdk);
    }
    if (LARGE.has(name)) {
      const late = LATE.map((each) => [each, (/** @type {any[]} */ ...args) => find(name)[each](...args)]);
      return before({ ...Object.fromEntries(late), extendedEncodeURIComponent: escaped }, () => find(name));
    }
    if (name.startsWith('./') || SMALL.has(name) || Module.isBuiltin(name)) {
      return find(name);
    }
    throw new Error(`Nothing is known of ${name}.`);
  };
}

/**
 * What the client of an upload is configured to do; undefined if it has to say so itself.
 * @param {Package} owner
 * @param {any} upload
 */
function configOf(owner, { client: s3, params }) {
  const known = client.plainOf(s3);
  requests ??= /** @type {typeof import('./request')} */ (require('./request.js'));
  if (
    known?.owner.service.signing !== 's3' ||
    !requests.isPlainBucket(params.Bucket) ||
    known.owner.release >= release.CHECKS !== owner.release >= release.CHECKS
  ) {
    return undefined;
  }
  const { protocol, hostname } = new URL(environment.ENDPOINT);
  const members = {
    // Which is no emitter of events, and tells of no progress.
    requestHandler: undefined,
    requestChecksumCalculation: () => Promise.resolve('WHEN_SUPPORTED'),
    endpoint: () => Promise.resolve({ protocol, hostname, path: '/' }),
    forcePathStyle: known.config.forcePathStyle,
  };
  return before(members, () => s3.config);
}

/**
 * An object with some members at hand. Others are looked up in what it stands for.
 * @param {Exports} members
 * @param {() => any} whole
 */
function before(members, whole) {
  return new Proxy(members, {
    get: (_, name) => (Object.hasOwn(members, name) ? Reflect.get(members, name) : Reflect.get(whole(), name)),
  });
}

/** @type {import('./types').Service} */
module.exports = {
  errors: [],
  commands: {},
  others(owner, name) {
    const found = exportsOf(owner);
    return Object.hasOwn(found, name) ? found[name] : undefined;
  },
};
