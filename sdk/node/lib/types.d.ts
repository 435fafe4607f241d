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
}

/** Puts the facade for a package where Node looks for modules that are there already. */
export type Provide = (filename: string, parent: NodeJS.Module | null | undefined) => void;

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
  | readonly [name: string, kind: 'list', wire: string, of: Scalar | Shape];

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
}

/** An operation of a service that speaks HTTP with XML. */
export interface RestOperation extends Operation {
  /** What its query begins with. */
  query?: string;
  /** Whether its path ends with a key. */
  hasKey?: boolean;
  /** The type of its body, unless the input names one; without one it has none. */
  type?: string;
  /** Parameters: where they go to, under which name, what they are, and since which release, if it is not all. */
  input: Record<
    string,
    readonly [
      where: 'header' | 'headers' | 'query' | 'body' | 'length' | 'checksum' | 'deletion',
      wire: string,
      kind: Kind,
      since?: number,
    ]
  >;
  /** Parameters that there must be, besides bucket and key. */
  required?: string[];
  /** Members of the output that come as headers. */
  output: readonly (readonly [name: string, header: string, kind: Kind])[];
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
  /** The message for a call. */
  request(owner: Package, operation: O, input: any): { target: string; fields: string; body: Uint8Array | undefined };
  /** The output that an answer is. */
  output(owner: Package, operation: O, answer: Answer): Promise<unknown>;
  /** The error that an answer is. */
  error(owner: Package, operation: O, answer: Answer): Promise<unknown>;
}

/** What the shim knows of a service. */
export interface Service {
  /** Its name in signatures. */
  signing: string;
  /** The class of its clients. */
  client: string;
  /** The class of its clients that have a method for each command. */
  aggregate: string;
  /** The class of its errors. */
  base: string;
  /** Errors that all releases have a class for. */
  errors: string[];
  /** Commands that are covered. */
  commands: Record<string, any>;
  protocol: Protocol<any>;
}

export { Broken };
