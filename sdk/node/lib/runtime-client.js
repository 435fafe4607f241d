// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * What stands for `rapid-client.node`, the addon by which aws-lambda-ric speaks to the runtime API.
 *
 * Its functions take, give and throw what the addon's do. One connection carries everything: events come over it by the event
 * loop, which nothing wakes before they do. Results go out while the event loop waits, as with the addon: when `done` returns, they
 * have been taken.
 *
 * What it does not cover the addon itself does, in the same call: a result for which there is no connection, texts that curl has
 * a word in, answers of unknown length.
 */

const fs = require('node:fs');
const path = require('node:path');

const { Connection } = require('./runtime-api.js');

const Module = /** @type {import('./types').ModuleClass} */ (/** @type {unknown} */ (require('node:module')));

/**
 * @typedef {object} RuntimeClient the addon's exports
 * @property {() => Promise<{ bodyJson: string, headers: Record<string, string | number> }>} next
 * @property {(...args: unknown[]) => null} done
 * @property {(...args: unknown[]) => null} error
 */
/** @typedef {import('./runtime-api').Answer} Answer */

const RUNTIME = '/2018-06-01/runtime/invocation/';
const REQUEST_ID = 'lambda-runtime-aws-request-id';
const DEADLINE = 'lambda-runtime-deadline-ms';
const CAUSE = 'lambda-runtime-function-xray-error-cause';
/** What is said of every event, if only by an empty text. */
const ALWAYS = [REQUEST_ID, 'lambda-runtime-trace-id', 'lambda-runtime-invoked-function-arn'];
/** What is said only if there is something to say, by those addons that know it. */
const SOMETIMES = ['lambda-runtime-client-context', 'lambda-runtime-cognito-identity', 'lambda-runtime-aws-tenant-id'];
/** How an addon says why a result was refused, if it does. */
const REASON = 'Http response code: %ld. %s';

/** An endpoint that needs no looking up. */
const ENDPOINT = /^(\d+\.\d+\.\d+\.\d+):(\d+)$/;
/** What curl has in a path as it is. */
const PLAIN_ID = /^[A-Za-z0-9-]+$/;
/** What curl sends as it is, as the value of a header. */
// eslint-disable-next-line no-control-regex
const PLAIN_TEXT = /^(?![ ])[^\0-\x1f\x7f]*(?<![ ])$/;

/** The addon's functions. */
class Client {
  /** @type {RuntimeClient | undefined} */
  #addon;
  /** @type {Connection | undefined} the connection, unless it is in use */
  #free;
  /** Whether the addon does everything from now on. */
  #isHandedOver = false;
  #filename;
  #address;
  #headers;
  #saysReason;

  /**
   * @param {string} filename the addon's
   * @param {string} text what is in that file
   * @param {{ host: string, port: number }} address of the runtime API
   */
  constructor(filename, text, address) {
    this.#filename = filename;
    this.#address = address;
    this.#headers = SOMETIMES.filter((name) => text.includes(name));
    this.#saysReason = text.includes(REASON);
  }

  /** The addon's exports. */
  exports() {
    return {
      next: () => this.#next(),
      done: (/** @type {unknown[]} */ ...args) => this.#post('done', args),
      error: (/** @type {unknown[]} */ ...args) => this.#post('error', args),
    };
  }

  /** @returns {Promise<{ bodyJson: string, headers: Record<string, string | number> }>} */
  async #next() {
    if (this.#isHandedOver) {
      return this.#real().next();
    }
    const answer = await this.#ask(this.#head('GET', 'next'));
    if (answer === undefined) {
      log('Failed to get next invocation. No Response from endpoint');
      return failed(-1);
    }
    const { status, head, body } = answer;
    if (!isSuccess(status)) {
      log(`Failed to get next invocation. Http Response code: ${status}`);
      return failed(status);
    }
    if (body === undefined) {
      // The addon gets the same event, since nobody has answered it.
      this.#isHandedOver = true;
      return this.#real().next();
    }
    if (!head.has(REQUEST_ID)) {
      log(`Failed to find header ${REQUEST_ID} in response`);
      return failed(-1);
    }
    const end = body.indexOf(0);
    return { bodyJson: body.toString('utf8', 0, end < 0 ? body.length : end), headers: this.#eventHead(head) };
  }

  /**
   * Answers an event.
   * @param {'done' | 'error'} kind
   * @param {unknown[]} args its id, the result or error, and an error's cause
   */
  #post(kind, args) {
    const count = kind === 'done' ? 2 : 3;
    if (args.length < count) {
      throw new TypeError(`Wrong number of arguments, expected ${count}`);
    }
    if (!args.slice(0, count).every((value) => typeof value === 'string')) {
      throw new TypeError('Wrong arguments');
    }
    const [id, text, cause = ''] = /** @type {[string, string, string?]} */ (args.slice(0, count));
    const connection = this.#free;
    this.#free = undefined;
    if (this.#isHandedOver || connection === undefined || !PLAIN_ID.test(id) || !PLAIN_TEXT.test(cause)) {
      connection?.close();
      return this.#real()[kind](...args);
    }
    const body = Buffer.from(text);
    const head = this.#head('POST', `${id}/${kind === 'done' ? 'response' : 'error'}`, [
      'content-type: application/json',
      ...(cause === '' ? [] : [`${CAUSE}: ${cause}`]),
      `content-length: ${body.length}`,
    ]);
    const answer = connection.askAndWait(head, body);
    if (answer === undefined) {
      // It has been taken if an answer had begun.
      return connection.hasBegun ? null : this.#real()[kind](...args);
    }
    this.#keep(connection);
    if (!isSuccess(answer.status)) {
      const reason = this.#saysReason ? ` ${answer.body ?? ''}` : '';
      log(`Failed to post handler success response. Http response code: ${answer.status}.${reason}`);
    }
    return null;
  }

  /**
   * Sends a request and waits for its answer, which is undefined if there is none.
   * @param {Buffer} head
   * @returns {Promise<Answer | undefined>}
   */
  async #ask(head) {
    for (;;) {
      const isUsed = this.#free !== undefined;
      const connection = this.#free ?? new Connection(this.#address);
      this.#free = undefined;
      const answer = await connection.ask(head);
      if (answer !== undefined) {
        this.#keep(connection);
        return answer;
      }
      // One that had been waiting may have ended meanwhile: the VM was restored, nexusd started anew.
      if (!isUsed || connection.hasBegun) {
        return undefined;
      }
    }
  }

  /**
   * @param {Connection} connection
   */
  #keep(connection) {
    if (this.#free === undefined && connection.isOpen) {
      this.#free = connection;
    } else {
      connection.close();
    }
  }

  /**
   * @param {string} method
   * @param {string} what
   * @param {string[]} [fields]
   */
  #head(method, what, fields = []) {
    const { host, port } = this.#address;
    return Buffer.from([`${method} ${RUNTIME}${what} HTTP/1.1`, `Host: ${host}:${port}`, ...fields, '', ''].join('\r\n'));
  }

  /**
   * What is said of an event, in the addon's order.
   * @param {Map<string, string>} head
   */
  #eventHead(head) {
    /** @type {Record<string, string | number>} */
    const headers = { [DEADLINE]: Number(/^\d*/.exec(head.get(DEADLINE) ?? '')?.[0]) };
    for (const name of ALWAYS) {
      headers[name] = head.get(name) ?? '';
    }
    for (const name of this.#headers) {
      const value = head.get(name);
      if (value) {
        headers[name] = value;
      }
    }
    return headers;
  }

  #real() {
    if (this.#addon === undefined) {
      const module = new Module(this.#filename);
      module.load(this.#filename);
      this.#addon = /** @type {RuntimeClient} */ (module.exports);
    }
    return this.#addon;
  }
}

/**
 * @param {number} status
 */
function isSuccess(status) {
  return status >= 200 && status <= 299;
}

/**
 * What a runtime sees of a failure. An addon's errors come from nowhere in JavaScript, and have no stack.
 * @param {number} code
 * @returns {Promise<never>}
 */
function failed(code) {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const error = new Error(`Failed to get next invocation, error ${code}`);
  Error.stackTraceLimit = stackTraceLimit;
  return Promise.reject(error);
}

/**
 * Says something as the addon does.
 * @param {string} text
 */
function log(text) {
  fs.writeSync(1, `[ERROR] [${Date.now()}] LAMBDA_RUNTIME ${text}\n`);
}

/**
 * Whether an addon is one that this stands for.
 * @param {string} text what is in its file
 */
function isKnown(text) {
  const known = new Set([...ALWAYS, ...SOMETIMES, DEADLINE, CAUSE]);
  /** @type {string[]} */
  const names = text.match(/lambda-runtime-[a-z-]+[a-z]/g) ?? [];
  return names.includes(REQUEST_ID) && names.every((name) => known.has(name));
}

/**
 * Puts what stands for an addon where Node looks for modules that are there already.
 * @param {string} filename the addon's
 * @param {NodeJS.Module | null | undefined} parent the module that asks for it
 */
function provide(filename, parent) {
  const [, host, port] = ENDPOINT.exec(process.env['AWS_LAMBDA_RUNTIME_API'] ?? '') ?? [];
  // Runtimes with many events at once are for the addon and its threads.
  if (Module._cache[filename] || host === undefined || process.env['AWS_LAMBDA_MAX_CONCURRENCY'] !== undefined) {
    return;
  }
  let text;
  try {
    text = fs.readFileSync(filename, 'latin1');
  } catch {
    return;
  }
  if (!isKnown(text)) {
    return;
  }
  const module = new Module(filename, parent ?? undefined);
  module.filename = filename;
  module.paths = Module._nodeModulePaths(path.dirname(filename));
  module.exports = new Client(filename, text, { host, port: Number(port) }).exports();
  module.loaded = true;
  Module._cache[filename] = module;
}

module.exports = { provide };
