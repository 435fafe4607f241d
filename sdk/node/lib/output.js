// SPDX-License-Identifier: Apache-2.0
'use strict';

/** From an answer to an output, as S3's protocol has it. */

const { join } = require('./answer.js');
const bodies = require('./body.js');
const calls = require('./calls.js');
const { Crc32 } = require('./crc32.js');
const dates = require('./dates.js');
const dialect = require('./dialect.js');
const { HAND_OVER } = require('./hand-over.js');
const release = require('./release.js');

/** @typedef {import('./facade').Package} Package */
/** @typedef {import('./types').RestOperation} Operation */
/** @typedef {import('./types').Answer} Answer */
/** @typedef {import('./types').Kind} Kind */

/** Headers that not every release knows. */
const RECENT = new Set(['x-amz-checksum-crc64nvme', 'x-amz-checksum-type', 'x-amz-object-size', 'x-amz-bucket-arn']);
/** Members of documents that not every release knows. */
const RECENT_MEMBERS = new Set(['ChecksumCRC64NVME', 'ChecksumType']);
/** Headers that no output has, unless an operation's says so. */
const NOWHERE = new Set([
  'x-amz-request-id',
  'x-amz-id-2',
  'x-amz-cf-id',
  'x-amz-bucket-region',
  'x-amz-server-side-encryption-context',
  // Of requests, which some stores keep with an object.
  'x-amz-content-sha256',
  'x-amz-sdk-checksum-algorithm',
]);
/** Sets of header names that are remembered for each operation. */
const PLANS = 64;
const META = 'x-amz-meta-';
const ERROR_END = '</Error>';
const CRC32 = 'x-amz-checksum-crc32';
const CRC64 = 'x-amz-checksum-crc64nvme';

/**
 * The output that an answer is.
 * @param {Package} owner
 * @param {Operation} operation
 * @param {Answer} answer
 */
async function output(owner, operation, answer) {
  const plan = planOf(owner, operation, answer.names);
  if (plan === undefined) {
    answer.close();
    throw HAND_OVER;
  }
  plan.join(answer);
  const content = operation.stream ? stream(owner, plan, answer) : await documentOf(owner, operation, plan, answer);
  const name = operation.stream ?? operation.payload;
  const isListed = dialect.of(owner).order === 'listed';
  /** @type {Record<string, unknown>} */
  const result = {};
  if (isListed) {
    result['$metadata'] = plan.metadata(answer);
  } else if (name) {
    result[name] = content;
  }
  for (const [member, kind, at] of plan.members) {
    result[member] = typeof at === 'number' ? read(kind, /** @type {string} */ (answer.values[at])) : collect(at, answer);
  }
  if (!name) {
    Object.assign(result, content);
  } else if (isListed) {
    result[name] = content;
  }
  if (!isListed) {
    result['$metadata'] = plan.metadata(answer);
  }
  return result;
}

/**
 * @param {[name: string, at: number][]} prefixed
 * @param {Answer} answer
 */
function collect(prefixed, answer) {
  return Object.fromEntries(prefixed.map(([name, at]) => [name, answer.values[at] ?? '']));
}

/**
 * @param {Kind} kind
 * @param {string} value
 */
function read(kind, value) {
  switch (kind) {
    case 'string':
      return value;
    case 'boolean':
      return value === 'true';
    case 'integer':
      if (!/^\d{1,15}$/.test(value)) {
        throw HAND_OVER;
      }
      return Number(value);
    default:
      return dates.ofHeader(value);
  }
}

/**
 * @param {Package} owner
 * @param {Plan} plan
 * @param {Answer} answer
 */
function stream(owner, plan, answer) {
  const at = owner.release >= release.CHECKS ? plan.checksum : -1;
  const expected = answer.values[at];
  // With a dash it is made of the checksums of parts, which nobody can check.
  if (expected === undefined || expected.includes('-')) {
    return bodies.make(answer, undefined);
  }
  const header = /** @type {string} */ (plan.names[at]);
  if (header === CRC32) {
    return bodies.make(answer, { checksum: new Crc32(), expected, header });
  }
  if (!dialect.of(owner).hasCrc64) {
    return bodies.make(answer, undefined);
  }
  const { Crc64 } = /** @type {typeof import('./crc64')} */ (require('./crc64.js'));
  return bodies.make(answer, { checksum: new Crc64(), expected, header });
}

/**
 * What an answer's document says; nothing if the operation has none.
 * @param {Package} owner
 * @param {Operation} operation
 * @param {Plan} plan
 * @param {Answer} answer
 */
async function documentOf(owner, operation, { document: shape }, answer) {
  const { payload } = operation;
  const data = await answer.whole();
  if (shape === undefined) {
    return undefined;
  }
  const { order, isPadded } = dialect.of(owner);
  const documents = /** @type {typeof import('./documents')} */ (require('./documents.js'));
  const parse = () => documents.read(shape, data, order === 'listed' && !payload);
  // An error that came after the status, or nothing: real clients make such a call again.
  const isFailure = data.length === 0 || data.subarray(-ERROR_END.length).toString() === ERROR_END;
  const content = operation.isFinal && !isFailure ? calls.certain(operation, parse) : parse();
  return isPadded && !payload ? Object.fromEntries(shape.map(([name]) => [name, content[name]])) : content;
}

/** How an operation reads answers that have headers of just these names. */
class Plan {
  /** @type {[name: string, kind: Kind, at: number | [name: string, at: number][]][]} */
  members = [];
  checksum = -1;
  isRead = true;
  /** @type {[name: string, at: number][]} */
  #ids;
  /** Headers that come more than once: where at first, and where again. @type {[name: string, first: number, at: number][]} */
  #repeated = [];

  /**
   * @param {Package} owner
   * @param {Operation} operation
   * @param {string[]} names
   */
  constructor(owner, operation, names) {
    const members = new Map(
      operation.output.map(([name, wire, kind, structure], rank) => [wire, { name, kind, structure, rank }]),
    );
    /** @type {[name: string, kind: Kind, at: number | [name: string, at: number][], rank: number][]} */
    const found = [];
    // A call that changed something is not made again for the sake of what it might say besides.
    const isRead = operation.method === 'GET' || operation.method === 'HEAD';
    names.forEach((name, at) => {
      const first = names.indexOf(name);
      if (first !== at) {
        this.#repeated.push([name, first, at]);
        return;
      }
      const member = members.get(name);
      if (member && (!RECENT.has(name) || owner.knows(name)) && has(owner, member.structure, member.name)) {
        found.push([member.name, member.kind, at, member.rank]);
      } else if (
        !member &&
        isRead &&
        name.startsWith('x-amz-') &&
        !name.startsWith(META) &&
        !NOWHERE.has(name) &&
        owner.knows(name)
      ) {
        this.isRead = false;
      }
    });
    // What only a real client reads as it should: a time in a form of its own, a checksum of another kind.
    if (
      (names.includes('expires') && isRead) ||
      (operation.stream && owner.release >= release.CHECKS && !areChecked(names.filter(isChecksum)))
    ) {
      this.isRead = false;
    }
    this.#ids = names
      .map((name, at) => /** @type {[string, number]} */ ([name, at]))
      .filter(([name]) => name.startsWith('x-amz') && /-(?:id|id-2|requestid)$/.test(name));
    this.names = names;
    this.document = operation.document?.filter(([name]) => !RECENT_MEMBERS.has(name) || owner.knows(name));
    this.checksum = names.findIndex(isChecksum);
    const prefix = members.get(META);
    if (prefix) {
      const inside = names
        .map((name, at) => /** @type {[string, number]} */ ([name.slice(META.length), at]))
        .filter(([, at]) => names[at]?.startsWith(META) && !this.#repeated.some(([, , repeated]) => repeated === at));
      found.push([prefix.name, prefix.kind, inside, dialect.of(owner).order === 'declared' ? prefix.rank : Infinity]);
    }
    if (dialect.of(owner).order !== 'sent') {
      found.sort((one, other) => one[3] - other[3]);
    }
    this.members = found.map(([name, kind, at]) => [name, kind, at]);
  }

  /**
   * Makes one value of those of a header that comes more than once.
   * @param {Answer} answer
   */
  join(answer) {
    const { values } = answer;
    for (const [name, first, at] of this.#repeated) {
      values[first] = join(name, values[first] ?? '', values[at] ?? '');
      answer.isJoined = true;
    }
  }

  /**
   * @param {Answer} answer
   */
  metadata(answer) {
    return calls.metadata(answer.status, collect(this.#ids, answer));
  }
}

/**
 * Whether a release has a member in its output.
 * @param {Package} owner
 * @param {string | undefined} structure the output in the service's model, if it is not the same in all releases
 * @param {string} name
 */
function has(owner, structure, name) {
  if (structure === undefined) {
    return true;
  }
  const { of } = /** @type {typeof import('./members')} */ (require('./members.js'));
  return !dialect.of(owner).isListed && of(owner, structure, 'output')?.includes(name) === true;
}

/**
 * Whether a header is a checksum.
 * @param {string} name
 */
function isChecksum(name) {
  return name.startsWith('x-amz-checksum-') && name !== 'x-amz-checksum-type';
}

/**
 * Whether content with these checksums is checked as real clients check it.
 * @param {string[]} names
 */
function areChecked(names) {
  return names.every((name) => name === CRC32 || name === CRC64) && names.length < 2;
}

/**
 * How to read an answer with headers of these names; undefined if only a real client knows.
 * @param {Package} owner
 * @param {Operation} operation
 * @param {string} names
 */
function planOf(owner, operation, names) {
  let plans = dialect.of(owner).plans.get(operation);
  if (plans === undefined) {
    plans = new Map();
    dialect.of(owner).plans.set(operation, plans);
  }
  let plan = plans.get(names);
  if (plan === undefined) {
    // A store that never says the same twice must not fill the memory.
    if (plans.size >= PLANS) {
      plans.clear();
    }
    plan = new Plan(owner, operation, names === '' ? [] : names.split('\0'));
    plans.set(names, plan);
  }
  return plan.isRead ? plan : undefined;
}

module.exports = { output };
