// SPDX-License-Identifier: Apache-2.0
import type { Answer as AnswerClass, Broken } from './answer';
import type { Package } from './facade';

/** What a package exports. */
export type Exports = Record<string, any>;

/** Any class. */
export type Class = (new (...args: any[]) => any) & { prototype: any };

/** `node:module`, with what the shim uses of it beyond its types. */
export interface ModuleClass {
  new (filename: string, parent?: NodeJS.Module): NodeJS.Module & { load(filename: string): void };
  prototype: NodeJS.Module;
  _cache: Record<string, NodeJS.Module | undefined>;
  _nodeModulePaths(folder: string): string[];
  _resolveFilename(request: string, parent?: NodeJS.Module | null, isMain?: boolean, options?: object): string;
  createRequire(filename: string): NodeJS.Require;
  isBuiltin(name: string): boolean;
  /** From Node 22.15 on. */
  registerHooks?(hooks: { load: LoadHook }): void;
}

/** What `facade.js` does for Node's loader. */
export interface Shim {
  provide(filename: string, parent: NodeJS.Module | null | undefined): void;
  namesOf(url: string): string | undefined;
}

/** What Node asks for the text of a module. */
export type LoadHook = (url: string, context: object, next: (url: string, context: object) => object) => object;

export type Answer = InstanceType<typeof AnswerClass>;

/** A running checksum. */
export interface Checksum {
  update(data: Uint8Array): void;
  text(): string;
}

/** Where an answer's body comes from. */
export interface Source {
  resume(): void;
  close(): void;
}

/** Kinds of values in headers and queries. */
export type Kind = 'string' | 'integer' | 'boolean' | 'date' | 'prefix';

/** Kinds of values in documents. */
export type Scalar = 'string' | 'integer' | 'boolean' | 'time';

/** A member of a structure in a document: its name, and what it is. */
export type Member =
  | readonly [name: string, kind: Scalar]
  | readonly [name: string, kind: 'structure', members: Shape]
  | readonly [name: string, kind: 'list', wire: string, of: Scalar | Shape, isWrapped?: boolean];

/** A structure in a document, in the order that the service's model has. */
export type Shape = readonly Member[];

/** An element's content: text, or elements by their names. */
export type Content = string | Map<string, Content[]>;

/** What every operation has. */
export interface Operation {
  /** Its name in the service's model. */
  name: string;
  /** HTTP's method. */
  method: string;
  /** Whether it changes nothing, so that it may be made again. */
  isRead?: boolean;
  /**
   * Whether a call is not made again because its answer cannot be read, or to learn why it was refused: it may have begun something, or
   * ended it.
   */
  isFinal?: boolean;
  /** Whether real clients take the members of an input at once. Those of others they read when they send it. */
  isCopied?: boolean;
}

/** What a value in a document in JSON is. */
export type JsonKind =
  | 'string'
  | 'integer'
  | 'number'
  | 'boolean'
  | 'blob'
  | 'time'
  | 'attribute'
  | { list: JsonKind }
  | { map: JsonKind }
  | Structure;

/** A structure of a service's model: its name there, and what its members are. */
export interface Structure {
  structure: string;
  members: Record<string, JsonKind>;
}

/** An operation of a service that speaks JSON. */
export interface JsonOperation extends Operation {
  input: Structure;
  output?: Structure;
  /** Throws for an output that is not what the input led to expect. */
  check?(input: any, output: any): void;
}

/** An operation of a service that takes a form and answers in XML. Members of outputs are in the order of the service's model. */
export interface QueryOperation extends Operation {
  input: Structure;
  output: Structure;
}

/** An operation of a service that speaks HTTP with XML. */
export interface RestOperation extends Operation {
  /** What its query begins with. */
  query?: string;
  /** Whether its path ends with a key. */
  hasKey?: boolean;
  /** The type of its body, unless the input names one; without one it has none. */
  type?: string;
  /** Whether no checksum is made of its body. */
  isUnchecked?: boolean;
  /** Parameters: where they go to, under which name, what they are, and since which release, if it is not all. */
  input: Record<
    string,
    readonly [
      where: 'header' | 'headers' | 'query' | 'body' | 'length' | 'checksum' | 'document' | 'nowhere',
      wire: string,
      kind: Kind,
      since?: number,
    ]
  >;
  /** What the document is that a parameter goes into. */
  content?: Shape;
  /** Parameters that there must be, besides bucket and key. */
  required?: string[];
  /** Members of the output that come as headers, and the structure of the model that has them, if not all releases know them. */
  output: readonly (readonly [name: string, header: string, kind: Kind, structure?: string])[];
  /** The member of the output that is the content of an object. */
  stream?: string;
  /** The member of the output that the document is; without one, the document's members are the output's. */
  payload?: string;
  document?: Shape;
}

/** A message's parts that come of parameters. */
export interface Fields {
  /** Names and values, each ended by a zero. */
  headers: string;
  query: string;
  body: Uint8Array | undefined;
  /** What the length of the body is said to be. */
  length: unknown;
  hasType: boolean;
  checksum: unknown;
}

/** How operations become messages, and answers outputs. */
export interface Protocol<O extends Operation> {
  /** An input that can be sent, if it takes time to make it; undefined if the one that is given can be. */
  prepare?(operation: O, input: any): Promise<any> | undefined;
  /** The message for a call. */
  request(owner: Package, operation: O, input: any): { target: string; fields: string; body: Uint8Array | undefined };
  /** The output that an answer is. */
  output(owner: Package, operation: O, answer: Answer, input: any): Promise<unknown>;
  /** The error that an answer is. */
  error(owner: Package, operation: O, answer: Answer): Promise<unknown>;
}

/** What the shim knows of a service. */
export interface Service {
  /** Its name in signatures; none if another package makes the calls. */
  signing?: string;
  /** The class of its clients. */
  client?: string;
  /** The class of its clients that have a method for each command. */
  aggregate?: string;
  /** The class of its errors; none if they are another package's. */
  base?: string;
  /** Errors that all releases have a class for. */
  errors: string[];
  /**
   * Errors after which no release makes a call again, where they can be made here: their names, or codes in answers to forms, and the
   * members that their classes may have of their own.
   */
  refusals?: Record<string, Record<string, JsonKind>>;
  /** Whether errors say what they were called in a protocol that the service had before. */
  isCompatible?: boolean;
  /** Commands that are covered. */
  commands: Record<string, any>;
  protocol?: Protocol<any>;
  /** What messages in JSON say of it: the first part of `x-amz-target`, and the version of their form. */
  json?: { target: string; version: string };
  /** The version of its interface that forms name. */
  query?: string;
  /** What a client that becomes real is told besides its configuration. */
  defaults?: Record<string, unknown>;
  /** What is done when a client is made; without it, clients take a plain configuration. */
  begin?(owner: Package, args: any[], clients: WeakMap<object, any>): Begun | undefined;
  /** What ends a client, if it is not as with most services. */
  destroy?(): void;
  /** Gives a class of clients what else it has. */
  complete?(made: Class): void;
  /** The methods of clients that have one for each command, if they are not as those of most services. */
  methods?(owner: Package): Record<string, unknown>;
  /** Exports that are neither clients nor commands. */
  others?(owner: Package, name: string): any;
}

/** What is known of a client that was made and is not real. */
export interface Begun {
  /** What a real one is made of. */
  args: any[];
  config?: any;
  /** The client that makes its calls, if that is another. */
  inner?: object;
  /** How a call is made, if it takes more than the call itself. */
  make?(owner: Package, region: string, operation: any, input: any): Promise<unknown>;
}

export { Broken };
