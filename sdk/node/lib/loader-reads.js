// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * What Node's loader of modules reads for an `import` of a package that the shim stands for, in releases that have no hooks for that
 * in the thread of the program.
 *
 * Node reads the package's text twice then: to see that it is CommonJS, and for the names that it exports, which a parser in
 * JavaScript looks for. Neither needs more than the names. The loader reads by functions of its own; what these call in the end can be
 * replaced, and only for reads that the loader makes: programs find the file as it is.
 */

const { pathToFileURL } = require('node:url');

/** A part of what reads files for Node: `node:fs` and the loader both call it. */
/** @typedef {Record<'openFileHandle' | 'readFileUtf8', ((path: unknown, ...others: unknown[]) => unknown) | undefined>} Binding */

/** Who reads for a module's form, and who for its names, as stacks have them. */
const FORM = '(node:internal/modules/esm/load:';
const NAMES = '(node:internal/modules/esm/translators:';
/** What they read by. */
const BETWEEN = /\(node:(?:internal\/)?fs\b/;

/**
 * Has the loader read names.
 * @param {(path: string) => boolean} isOurs whether this may be the main file of a package that the shim stands for
 * @param {(url: string) => string | undefined} namesOf the text to read in its place
 * @param {string} commonJs a short file of the same form
 */
function replace(isOurs, namesOf, commonJs) {
  const binding = bindingOf(/** @type {any} */ (process));
  const { openFileHandle, readFileUtf8 } = binding ?? {};
  if (binding === undefined || openFileHandle === undefined || readFileUtf8 === undefined) {
    return;
  }
  const isRead = (/** @type {unknown} */ path, /** @type {string} */ by) =>
    typeof path === 'string' && isOurs(path) && reader().includes(by);
  binding.openFileHandle = function (path, ...others) {
    return Reflect.apply(openFileHandle, this, [isRead(path, FORM) ? commonJs : path, ...others]);
  };
  binding.readFileUtf8 = function (path, ...others) {
    const names = isRead(path, NAMES) ? namesOf(pathToFileURL(String(path)).href) : undefined;
    return names ?? Reflect.apply(readFileUtf8, this, [path, ...others]);
  };
}

/** Who called a function of `node:fs` that has come to one of the two above: a file of a program's may be loaded by the loader, too. */
function reader() {
  // The first line is the error's, three are ours.
  const frames = String(new Error().stack).split('\n').slice(4);
  return frames.find((frame) => !BETWEEN.test(frame)) ?? '';
}

/**
 * What reads files for Node; undefined where reaching for it is forbidden, or warned of.
 * @param {{ binding(name: string): Binding }} process
 */
function bindingOf({ binding }) {
  try {
    return binding.name === 'binding' ? binding('fs') : undefined;
  } catch {
    return undefined;
  }
}

module.exports = { replace };
