// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * Clients and commands.
 *
 * A client makes the calls that the shim covers by messages to the gateway. Those that are not covered are made by a real client, which
 * nobody sees. What a program looks at that only real clients have makes it that real client, which it remains.
 */

const environment = require('./environment.js');
const { insteadOf } = require('./hand-over.js');
const layer = require('./layer.js');

/** @typedef {import('./facade').Package} Package */
/** @typedef {import('./types').Class} Class */
/** @typedef {import('./types').Operation} Operation */
/** @typedef {(error: unknown, output?: unknown) => void} Callback */
/** @typedef {import('./types').Begun} Begun */
/**
 * @typedef {Begun & { owner: Package, beneath: import('./layer').Beneath, region?: string | undefined, real?: any }} Client where `real`
 *   makes the calls that the shim does not
 */

/**
 * Clients that are not real.
 * @type {WeakMap<object, Client>}
 */
const clients = new WeakMap();

/**
 * Those that were made by the shim and are real meanwhile, and whether a program has not changed what they do.
 * @type {WeakMap<object, Client & { isAsMade: () => Promise<boolean> }>}
 */
const former = new WeakMap();

/**
 * Operations and the packages that they are of, by the prototype of their commands.
 * @type {WeakMap<object, { operation: Operation, owner: Package }>}
 */
const operations = new WeakMap();

/** @type {typeof import('./calls') | undefined} */
let calls;

/** What it takes to make a call, loaded with the first one and kept: a program may clear `require.cache`. */
function forCalls() {
  calls ??= /** @type {typeof import('./calls')} */ (require('./calls.js'));
  return calls;
}

/**
 * The class that the shim has for an export of a package, or undefined.
 * @param {Package} owner
 * @param {string} name
 * @returns {Class | undefined}
 */
function cover(owner, name) {
  const { service } = owner;
  if (name === service.client) {
    return makeClient(owner, name);
  }
  if (name === service.aggregate) {
    return makeAggregate(owner, name);
  }
  if (Object.hasOwn(service.commands, name)) {
    return makeCommand(owner, name);
  }
  return service.errors.includes(name) ? require('./error-classes.js').makeClass(owner, name) : service.others?.(owner, name);
}

/**
 * @param {Package} owner
 * @param {string} name
 */
function makeClient(owner, name) {
  const beneath = owner.beneathClient(name, becomeReal);
  const { destroy = makeDestroy(beneath) } = owner.service;
  return makeClass(owner, name, { send: makeSend(beneath), destroy }, beneath);
}

/**
 * The class of clients with a method for each command. They have `send` of the class that they extend, which a program may replace.
 * @param {Package} owner
 * @param {string} name
 */
function makeAggregate(owner, name) {
  const { prototype } = /** @type {Class} */ (owner.exports[String(owner.service.client)]);
  return makeClass(owner, name, methods(owner), owner.beneathClient(name, becomeReal), prototype);
}

/**
 * @param {Package} owner
 * @param {string} name
 * @param {Record<string, unknown>} members
 * @param {import('./layer').Beneath} beneath
 * @param {object} [base]
 */
function makeClass(owner, name, members, beneath, base) {
  const begin = owner.service.begin ?? plain;
  const made = layer.make(name, construct, members, beneath, base);
  /** @type {(this: object, ...args: any[]) => unknown} */
  function construct(...args) {
    const state = begin(owner, args, clients);
    if (state === undefined) {
      return layer.construct(beneath, args, made);
    }
    clients.set(this, { ...state, owner, beneath });
    return undefined;
  }
  owner.service.complete?.(made);
  return made;
}

/**
 * `destroy` as most clients have it.
 * @param {import('./layer').Beneath} beneath
 */
function makeDestroy(beneath) {
  return destroy;
  /** @this {object} */
  function destroy() {
    const state = clients.get(this);
    if (state !== undefined && state.real === undefined) {
      // It has nothing open of its own.
      return undefined;
    }
    return beneath.real().prototype.destroy.call(realOf(this));
  }
}

/**
 * The beginning of a client that has a plain configuration.
 * @param {Package} _
 * @param {any[]} args
 * @returns {Begun | undefined}
 */
function plain(_, [config]) {
  return environment.isPlain(config) ? { config: { ...config }, args: [{ ...config }] } : undefined;
}

/**
 * @param {Package} owner
 * @param {string} name
 */
function makeCommand(owner, name) {
  const operation = /** @type {Operation} */ (owner.service.commands[name]);
  const beneath = owner.beneath(name, (/** @type {any} */ command) => {
    if (isBare(command)) {
      layer.adopt(command, Reflect.construct(beneath.real(), [command.input]));
    }
  });
  // There is an `input` on the prototype so that giving it to a command does not reach for what is beneath.
  const made = layer.make(name, construct, { input: undefined }, beneath);
  /** @type {(this: any, input: unknown) => unknown} */
  function construct(input) {
    this.input = input ?? {};
    return undefined;
  }
  operations.set(made.prototype, { operation, owner });
  return made;
}

/**
 * Whether an object is a command that is not real.
 * @param {any} command
 */
function isBare(command) {
  return (
    operations.has(Object.getPrototypeOf(command)) &&
    Object.hasOwn(command, 'input') &&
    !Object.hasOwn(command, 'middlewareStack')
  );
}

/**
 * `send` as clients have it.
 * @param {import('./layer').Beneath} beneath
 */
function makeSend(beneath) {
  return send;
  /**
   * @this {object}
   * @param {any} command
   * @param {any} [optionsOrCallback]
   * @param {Callback} [callback]
   */
  function send(command, optionsOrCallback, callback) {
    const client = clients.get(this);
    const call = client && find(client, command, optionsOrCallback);
    if (call === undefined) {
      return beneath.real().prototype.send.call(realOf(this), command, optionsOrCallback, callback);
    }
    const make = client?.make ?? forCalls().run;
    const output = make(call.owner, call.region, call.operation, command.input).catch((/** @type {unknown} */ error) => {
      const instead = insteadOf(error);
      if (instead === undefined) {
        throw error;
      }
      return sendReal(realOf(this), beneath, command, instead);
    });
    const done = typeof optionsOrCallback === 'function' ? optionsOrCallback : callback;
    if (!done) {
      return output;
    }
    output.then((value) => done(null, value), done).catch(() => {});
    return undefined;
  }
}

/**
 * Has a real client make a call that the shim has begun.
 * @param {object} client
 * @param {import('./layer').Beneath} beneath
 * @param {any} command
 * @param {import('./hand-over').Instead} instead
 */
function sendReal(client, beneath, command, { input, isOnce }) {
  const { send } = beneath.real().prototype;
  const sent = send.call(client, input === command.input ? command : new command.constructor(input));
  if (!isOnce) {
    return sent;
  }
  return sent.catch((/** @type {unknown} */ error) => {
    throw forCalls().once(error);
  });
}

/**
 * What a client is to do for a command; undefined if only a real one can.
 * @param {Client} client
 * @param {any} command
 * @param {any} options
 * @returns {{ owner: Package, region: string, operation: Operation } | undefined}
 */
function find(client, command, options) {
  if (
    command === null ||
    typeof command !== 'object' ||
    (typeof options === 'object' && options !== null && Object.keys(options).length > 0)
  ) {
    return undefined;
  }
  const base = client.inner === undefined ? client : clients.get(client.inner);
  const found = operations.get(Object.getPrototypeOf(command));
  const isGiven = command.input !== null && typeof command.input === 'object';
  if (base === undefined || found?.owner !== client.owner || !isBare(command) || !isGiven) {
    return undefined;
  }
  const region = regionOf(base);
  return region === undefined ? undefined : { owner: base.owner, region, operation: found.operation };
}

/**
 * The region of a client, or undefined if it has to be real.
 * @param {Client} base
 */
function regionOf(base) {
  base.region ??= environment.region(base.config);
  return base.region;
}

/**
 * What is known of a client that is not real, and needs not be for what it is told by its configuration and its environment; or undefined.
 * @param {any} client
 */
function plainOf(client) {
  const state = clients.get(client);
  return state && regionOf(state) !== undefined ? state : undefined;
}

/**
 * The call that a command stands for, of a client that was made by the shim; undefined if it is not known.
 * @param {any} client
 * @param {any} command
 */
function callOf(client, command) {
  const isObject = client !== null && typeof client === 'object';
  const state = isObject ? (clients.get(client) ?? former.get(client)) : undefined;
  return state && find(state, command, undefined);
}

/**
 * Whether a client that was made by the shim does what it did then.
 * @param {object} client
 */
async function isAsMade(client) {
  return clients.has(client) || (await former.get(client)?.isAsMade()) === true;
}

/**
 * A real client that does what this one does not; itself, if it is real.
 * @param {any} client
 * @returns {any}
 */
function realOf(client) {
  const state = clients.get(client);
  if (state === undefined) {
    return client;
  }
  const { beneath, args, inner } = state;
  state.real ??= layer.construct(beneath, inner === undefined ? args : [realOf(inner), ...args.slice(1)]);
  return state.real;
}

/**
 * @param {object} client
 */
function becomeReal(client) {
  const state = clients.get(client);
  if (state !== undefined) {
    layer.adopt(client, realOf(client));
    clients.delete(client);
    former.set(client, { ...state, isAsMade: require('./changes.js').watch(client) });
  }
}

/**
 * The methods that a client has for each covered command, if it is of the kind that has them.
 * @param {Package} owner
 * @returns {Record<string, unknown>}
 */
function methods(owner) {
  if (owner.service.methods) {
    return owner.service.methods(owner);
  }
  const names = Object.keys(owner.service.commands).map((command) => {
    /**
     * @this {any}
     * @param {any} input
     * @param {any} [optionsOrCallback]
     * @param {any} [callback]
     * @returns {Promise<unknown>}
     */
    async function method(input, optionsOrCallback, callback) {
      const made = new /** @type {Class} */ (owner.exports[command])(input);
      if (typeof optionsOrCallback === 'function') {
        this.send(made, optionsOrCallback);
      } else if (typeof callback === 'function') {
        if (typeof optionsOrCallback !== 'object') {
          throw new Error(`Expected http options but got ${typeof optionsOrCallback}`);
        }
        this.send(made, optionsOrCallback || {}, callback);
      } else {
        return await this.send(made, optionsOrCallback);
      }
      return undefined;
    }
    return [command.charAt(0).toLowerCase() + command.slice(1, -'Command'.length), method];
  });
  return Object.fromEntries(names);
}

module.exports = { callOf, clients, cover, isAsMade, plainOf, realOf };
