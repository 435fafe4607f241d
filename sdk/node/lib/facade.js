// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * What stands for a package of the SDK until the real one is needed.
 *
 * The exports of a facade are made when they are first looked at: classes that the shim covers by `client`, others by `surface`. The
 * real package is loaded beside the facade, which stays in its place: whoever holds one of its exports holds the right thing
 * before and after.
 */

const fs = require('node:fs');
const path = require('node:path');
const { fileURLToPath } = require('node:url');

const client = require('./client.js');
const releases = require('./release.js');

const Module = /** @type {import('./types').ModuleClass} */ (/** @type {unknown} */ (require('node:module')));

/** @typedef {import('./types').Exports} Exports */
/** @typedef {import('./types').Service} Service */

/**
 * The services that are covered, by the package of their client.
 * @type {Record<string, () => Service>}
 */
const SERVICES = {
  '@aws-sdk/client-s3': () => require('./s3.js'),
  '@aws-sdk/client-dynamodb': () => require('./dynamodb.js'),
  '@aws-sdk/client-sqs': () => require('./sqs.js'),
  '@aws-sdk/client-sns': () => require('./sns.js'),
  '@aws-sdk/client-secrets-manager': () => require('./secrets-manager.js'),
  '@aws-sdk/client-lambda': () => require('./lambda.js'),
  '@aws-sdk/client-ssm': () => require('./ssm.js'),
  '@aws-sdk/lib-dynamodb': () => require('./document.js'),
  '@aws-sdk/lib-storage': () => require('./upload.js'),
  '@aws-sdk/s3-request-presigner': () => require('./presigner.js'),
  '@aws-sdk/s3-presigned-post': () => require('./presigned-post.js'),
};

/** What there is beside the main file of releases that are spread over many. */
const SPREAD = ['commands', 'Upload.js', 'getSignedUrl.js', 'createPresignedPost.js'];

/** By these a package says that it was written as a module of JavaScript's own kind. */
const MARKS = ['Object.defineProperty(exports, "__esModule"', '\nvar __toCommonJS'];

/** Files that some releases have beside the main one, which exports all that they do. */
const PARTS = ['schemas/schemas_0.js', 'models/errors.js'];

/**
 * Packages that were asked for, by their main file; null for those without a facade.
 * @type {Map<string, Package | null>}
 */
const packages = new Map();

/** An installed package that has a facade. */
class Package {
  /** @type {Exports | undefined} */
  #real;
  /** @type {string | undefined} */
  #text;
  /** @type {(() => void)[]} */
  #waiting = [];
  #isLoading = false;
  #isMarked = false;
  /** @type {string[] | undefined} */
  #names;
  /** @type {Service['protocol']} */
  #protocol;

  /**
   * @param {string} filename its main file
   * @param {number} release the second part of its version
   * @param {Service} service
   */
  constructor(filename, release, service) {
    this.filename = filename;
    this.release = release;
    this.service = service;
    this.exports = makeExports(this);
  }

  /** How its calls are made, loaded with the first one and kept: a program may clear `require.cache`. */
  get protocol() {
    this.#protocol ??= this.service.protocol;
    return /** @type {import('./types').Protocol<any>} */ (this.#protocol);
  }

  /** The real package's exports, if something has needed them. */
  get loaded() {
    return this.#real;
  }

  /** The real package's exports. */
  real() {
    if (this.#real === undefined) {
      const module = new Module(this.filename);
      this.#isLoading = true;
      try {
        module.load(this.filename);
      } finally {
        this.#isLoading = false;
      }
      this.#real = /** @type {Exports} */ (module.exports);
      this.#waiting.splice(0).forEach((act) => act());
    }
    return this.#real;
  }

  /** Whether Node is running the real package's main file. */
  get isLoading() {
    return this.#isLoading;
  }

  /**
   * Does something as soon as the real package is there.
   * @param {() => void} act
   */
  whenReal(act) {
    if (this.#real === undefined) {
      this.#waiting.push(act);
    } else {
      act();
    }
  }

  /**
   * What lies under the shim's class for one of the exports.
   * @param {string} name
   * @param {(object: object) => void} [become] as layers have it
   * @returns {import('./layer').Beneath}
   */
  beneath(name, become) {
    return { real: () => this.real()[name], loaded: () => this.#real?.[name], become };
  }

  /**
   * What lies under a class of clients: real ones are told what a guest needs besides what the program tells them.
   * @param {string} name
   * @param {(object: object) => void} become
   * @returns {import('./layer').Beneath}
   */
  beneathClient(name, become) {
    const { defaults } = this.service;
    return { ...this.beneath(name, become), args: defaults && ((given) => withDefaults(defaults, given)) };
  }

  /** The text of the package: its main file, and what some releases have beside it. */
  text() {
    if (this.#text === undefined) {
      const folder = path.dirname(this.filename);
      const main = fs.readFileSync(this.filename, 'latin1');
      const beside = PARTS.map((part) => `${folder}/${part}`).filter((part) => fs.existsSync(part));
      this.#isMarked = MARKS.some((mark) => main.includes(mark));
      this.#text = [main, ...beside.map((part) => fs.readFileSync(part, 'latin1'))].join('\n');
    }
    return this.#text;
  }

  /** Whether the package says that it was written as a module of JavaScript's own kind. */
  get isMarked() {
    this.text();
    return this.#isMarked;
  }

  /** All names that it exports. */
  names() {
    this.#names ??= /** @type {typeof import('./text')} */ (require('./text.js')).names(this.text());
    return this.#names;
  }

  /**
   * Whether this release knows a string, such as the name of a header.
   * @param {string} string
   */
  knows(string) {
    return this.text().includes(`"${string}"`);
  }
}

/**
 * Puts the facade for the package with this main file where Node looks for modules that are there already.
 * @param {string} filename
 * @param {NodeJS.Module | null | undefined} parent the module that asks for it
 */
function provide(filename, parent) {
  const cached = Module._cache[filename];
  if (cached?.loaded) {
    return;
  }
  let found = packages.get(filename);
  if (found === undefined) {
    found = open(filename);
    packages.set(filename, found);
  }
  if (found === null) {
    return;
  }
  // `import` has put a module there that is still empty.
  const module = cached ?? new Module(filename, parent ?? undefined);
  module.filename = filename;
  module.paths = Module._nodeModulePaths(path.dirname(filename));
  module.exports = found.exports;
  module.loaded = true;
  Module._cache[filename] = module;
}

/**
 * A text in which Node finds the names that a package exports; undefined if it is to look for them in the package's own.
 * @param {string} url of its main file
 */
function namesOf(url) {
  if (!url.startsWith('file:')) {
    return undefined;
  }
  const filename = fileURLToPath(url);
  provide(filename, undefined);
  const found = packages.get(filename);
  if (!found || found.isLoading || Module._cache[filename]?.exports !== found.exports) {
    return undefined;
  }
  const { importable } = /** @type {typeof import('./text')} */ (require('./text.js'));
  // The form that Node reads the fastest.
  return `0 && (module.exports = { ${importable(found.text(), found.names()).join(', ')} });`;
}

/**
 * @param {string} filename
 * @returns {Package | null}
 */
function open(filename) {
  const folder = path.dirname(path.dirname(filename));
  let name, version;
  try {
    ({ name, version } = JSON.parse(fs.readFileSync(`${folder}/package.json`, 'utf8')));
  } catch {
    return null;
  }
  const [major, release] = String(version).split('.').map(Number);
  if (!Object.hasOwn(SERVICES, name) || major !== 3 || release === undefined || release < releases.OLDEST) {
    return null;
  }
  if (SPREAD.some((part) => fs.existsSync(`${folder}/dist-cjs/${part}`))) {
    return null;
  }
  const service = /** @type {() => Service} */ (SERVICES[name]);
  return new Package(filename, release, service());
}

/**
 * What a client is made of, with what it is told unless the program says something else.
 * @param {Record<string, unknown>} defaults
 * @param {any[]} given
 */
function withDefaults(defaults, [given, ...others]) {
  const config = given || {};
  if (typeof config !== 'object') {
    return [given, ...others];
  }
  const told = Object.create(Object.getPrototypeOf(config), Object.getOwnPropertyDescriptors(config));
  for (const [name, value] of Object.entries(defaults)) {
    if (config[name] === undefined || config[name] === null) {
      Object.defineProperty(told, name, { value, writable: true, enumerable: true, configurable: true });
    }
  }
  return [told, ...others];
}

/**
 * The exports of a facade: an object that is filled as it is looked at, since a list of all names takes reading the package.
 * @param {Package} owner
 * @returns {Exports}
 */
function makeExports(owner) {
  /** @type {Exports} */
  const target = {};
  let isWhole = false;
  const forSurface = () => /** @type {typeof import('./surface')} */ (require('./surface.js'));
  const alone = (/** @type {string} */ name) =>
    !isWhole && owner.loaded === undefined && name !== '__esModule' && owner.names().includes(name)
      ? forSurface().makeOther(owner, name)
      : undefined;
  const whole = () => {
    if (!isWhole) {
      isWhole = true;
      forSurface().fill(owner, target, (name) => client.cover(owner, name));
    }
    return target;
  };
  return new Proxy(target, {
    get(_, name) {
      if (typeof name !== 'string') {
        return Reflect.get(target, name);
      }
      if (!Object.hasOwn(target, name)) {
        const made = client.cover(owner, name) ?? alone(name);
        if (made === undefined) {
          return whole()[name];
        }
        Object.defineProperty(target, name, { value: made, writable: true, enumerable: true, configurable: true });
      }
      return target[name];
    },
    has: (_, name) => Reflect.has(whole(), name),
    ownKeys: () => Reflect.ownKeys(whole()),
    getOwnPropertyDescriptor: (_, name) => Reflect.getOwnPropertyDescriptor(whole(), name),
    set: (_, name, value) => Reflect.set(whole(), name, value),
    defineProperty: (_, name, descriptor) => Reflect.defineProperty(whole(), name, descriptor),
    deleteProperty: (_, name) => Reflect.deleteProperty(whole(), name),
  });
}

module.exports = { Package, namesOf, provide };
