// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * Brings the SDK shim into a Node process, by `NODE_OPTIONS=--require <this file>`.
 *
 * Modules are found as ever. Only when what was found is the main file of a package that the shim has a facade for, or the
 * addon of aws-lambda-ric, what stands for it is put where Node looks for modules that are there already. So `require`, `import`,
 * `require.resolve` and the error for a package that is not installed stay Node's own, and no frame of the shim stands in the
 * stack of a module that is being run.
 *
 * This file is for every Node that a function may come with: its syntax is that of 2015.
 */

const fs = require('node:fs');
const vm = require('node:vm');

const Module = /** @type {import('./lib/types').ModuleClass} */ (/** @type {unknown} */ (require('node:module')));

/** The oldest Node for which there is a shim. */
const OLDEST = 18;
const MAIN = '/dist-cjs/index.js';
/** The addon by which aws-lambda-ric speaks to the runtime API. */
const RUNTIME_CLIENT = '/rapid-client.node';
const find = Module._resolveFilename;
const ownRequire = Module.prototype.require;
/** @type {import('./lib/types').Shim | undefined} */
let facade;

/**
 * The shim's files, by their names. They are not among the modules that a program sees, and may clear: some hold what there must
 * be only one of. And Node would look up much for each of them that is known here.
 * @type {Map<string, { exports: any }>}
 */
const files = new Map();

/**
 * What one of the shim's files exports.
 * @param {string} name
 * @returns {any}
 */
function load(name) {
  const loaded = files.get(name);
  if (loaded !== undefined) {
    return loaded.exports;
  }
  const filename = `${__dirname}/lib/${name}`;
  const module = { exports: {} };
  files.set(name, module);
  vm.compileFunction(fs.readFileSync(filename, 'utf8'), ['module', 'require'], { filename })(module, requireFor);
  return module.exports;
}

/**
 * `require` for the shim's files.
 * @param {string} name
 */
function requireFor(name) {
  return name.startsWith('./') ? load(name.slice(2)) : require(name);
}

/** What the shim is made of, loaded when it is first needed. */
function shim() {
  if (facade === undefined) {
    facade = /** @type {import('./lib/types').Shim} */ (load('facade.js'));
  }
  return facade;
}

/**
 * Whether this may be the main file of a package that the shim has a facade for. Who has taken `require` over wants to see the real
 * packages: tracers do so.
 * @param {string} place
 */
function isOurs(place) {
  return place.endsWith(MAIN) && place.includes('/@aws-sdk/') && Module.prototype.require === ownRequire;
}

/** @type {typeof find} */
function resolveFilename(...args) {
  const filename = Reflect.apply(find, Module, args);
  if (isOurs(filename)) {
    shim().provide(filename, args[1]);
  } else if (filename.endsWith(RUNTIME_CLIENT)) {
    const runtimeClient = /** @type {{ provide: import('./lib/types').Shim['provide'] }} */ (load('runtime-client.js'));
    runtimeClient.provide(filename, args[1]);
  }
  return filename;
}

/**
 * A text that has just the names that a package exports: Node looks for them in all of its text, which takes long with so much of
 * it. What an `import` then reads are the facade's exports.
 * @param {string} url of the package's main file
 */
function namesOf(url) {
  return isOurs(url) ? shim().namesOf(url) : undefined;
}

/** @type {import('./lib/types').LoadHook} */
function loadNames(url, context, next) {
  const names = namesOf(url);
  return names === undefined ? next(url, context) : { format: 'commonjs', source: names, shortCircuit: true };
}

if (process.env['NEXUS_SDK'] !== 'off' && Number.parseInt(process.versions.node, 10) >= OLDEST) {
  // As Node's own is called: its name stands in the stack of the error for a module that is not there.
  Object.defineProperty(resolveFilename, 'name', { value: find.name });
  Module._resolveFilename = resolveFilename;
  if (Module.registerHooks !== undefined) {
    Module.registerHooks({ load: loadNames });
  } else {
    const loaderReads = /** @type {typeof import('./lib/loader-reads')} */ (load('loader-reads.js'));
    loaderReads.replace(isOurs, namesOf, __filename);
  }
}
