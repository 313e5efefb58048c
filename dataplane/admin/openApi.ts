/** The OpenAPI 3.1 document of the admin API, made from the table of its routes and the schemas in them. */
import { z } from 'zod';
import { type AdminErrorCode, statusOf } from './errors.ts';
import type { AdminRoute, RouteAnswer } from './route.ts';
import { ADMIN_ROUTES } from './routes.ts';
import {
  bucketReport,
  bucketSummary,
  connectionUse,
  declareBucket,
  keyVersionReport,
  rotateBucket,
} from './schema/buckets.ts';
import { epochTaken, takeEpoch } from './schema/epoch.ts';
import { adminErrorBody } from './schema/errors.ts';
import { bucketPage, keyPage, reencryptReport } from './schema/listings.ts';
import { status } from './schema/status.ts';

/** Where the document is served. */
export const OPENAPI_PATH = '/admin/v1/openapi.json';

/** Schemas that the document tells by name. */
const NAMED: ReadonlyMap<z.ZodType, string> = new Map<z.ZodType, string>([
  [status, 'Status'],
  [takeEpoch, 'TakeEpoch'],
  [epochTaken, 'EpochTaken'],
  [bucketPage, 'BucketPage'],
  [bucketSummary, 'BucketSummary'],
  [bucketReport, 'BucketReport'],
  [declareBucket, 'DeclareBucket'],
  [rotateBucket, 'RotateBucket'],
  [keyVersionReport, 'KeyVersionReport'],
  [keyPage, 'KeyPage'],
  [connectionUse, 'ConnectionUse'],
  [reencryptReport, 'ReencryptReport'],
  [adminErrorBody, 'Error'],
]);

type JsonObject = Record<string, unknown>;

/** The document. The version is that of the API, which is in its paths, and not that of the product. */
export function openApiDocument(routes: readonly AdminRoute[] = ADMIN_ROUTES): JsonObject {
  const schemas: Record<string, JsonObject> = {};
  const paths: Record<string, JsonObject> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation(route, schemas) };
  }
  paths[OPENAPI_PATH] = { get: ownOperation(schemas) };
  return {
    openapi: '3.1.1',
    info: {
      title: 'Sealgate admin API',
      version: '1',
      description: 'Administration of one data plane. See docs/admin-api.md.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    // The document does not know where it is served: relative to itself.
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: Object.fromEntries(Object.entries(schemas).toSorted(([a], [b]) => (a < b ? -1 : 1))),
    },
  };
}

function operation(route: AdminRoute, schemas: Record<string, JsonObject>): JsonObject {
  const { operationId, summary, params, query, body, fenced } = route;
  const parameters = [
    ...parametersOf(params, 'path'),
    ...parametersOf(query, 'query'),
    ...(fenced ? [EPOCH_PARAMETER] : []),
  ];
  const responses: Record<string, JsonObject> = {};
  for (const answer of route.answers) responses[String(answer.status)] = response(answer, schemas);
  Object.assign(responses, refusals(errorsOf(route), schemas));
  return {
    operationId,
    summary,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === null
      ? {}
      : { requestBody: { required: true, content: json(reference(body, 'input', schemas)) } }),
    responses,
  };
}

/** All codes that the route can answer with, but for a wrong token and a failure. */
export function errorsOf({ params, query, body, fenced, errors }: AdminRoute): readonly AdminErrorCode[] {
  const looksAtRequest = params !== null || query !== null || body !== null || fenced;
  return [
    ...(looksAtRequest ? (['InvalidArgument'] as const) : []),
    ...(fenced ? (['StaleEpoch'] as const) : []),
    ...errors,
    'Busy',
  ];
}

function ownOperation(schemas: Record<string, JsonObject>): JsonObject {
  const document = { description: 'This document.', content: json({ type: 'object' }) };
  return {
    operationId: 'getOpenApi',
    summary: 'This document.',
    responses: { 200: document, ...refusals([], schemas) },
  };
}

const EPOCH_PARAMETER: JsonObject = {
  name: 'Sealgate-Epoch',
  in: 'header',
  required: false,
  description: 'The epoch that a leader has taken. Without it the request is a person’s, and is served.',
  schema: { type: 'integer', minimum: 1 },
};

function parametersOf(form: z.ZodObject | null, where: 'path' | 'query'): JsonObject[] {
  if (form === null) return [];
  return Object.entries(form.shape).map(([name, schema]) => ({
    name,
    in: where,
    required: where === 'path' || !z.safeParse(schema, undefined).success,
    schema: jsonSchema(schema, 'input'),
  }));
}

function response({ description, schema }: RouteAnswer, schemas: Record<string, JsonObject>): JsonObject {
  return schema === null
    ? { description }
    : { description, content: json(reference(schema, 'output', schemas)) };
}

/** One response for each status, which names its codes. */
function refusals(
  codes: readonly AdminErrorCode[],
  schemas: Record<string, JsonObject>,
): Record<string, JsonObject> {
  const byStatus = new Map<number, string[]>([
    [401, ['Unauthorized']],
    [500, ['InternalError']],
  ]);
  for (const code of new Set(codes)) {
    const status = statusOf(code);
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const content = json(reference(adminErrorBody, 'output', schemas));
  return Object.fromEntries(
    [...byStatus].map(([status, of]) => [String(status), { description: of.join(', '), content }]),
  );
}

function json(schema: JsonObject): JsonObject {
  return { 'application/json': { schema } };
}

/** The schema, or for one with a name a reference to it among the components. */
function reference(
  schema: z.ZodType,
  io: 'input' | 'output',
  schemas: Record<string, JsonObject>,
): JsonObject {
  const name = NAMED.get(schema);
  if (name === undefined) return jsonSchema(schema, io);
  schemas[name] ??= jsonSchema(schema, io);
  return { $ref: `#/components/schemas/${name}` };
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): JsonObject {
  const { $schema: _dialect, ...made } = z.toJSONSchema(schema, {
    io,
    override: ({ zodSchema, jsonSchema: target }) => {
      // Bounds that only say what JSON numbers can hold, and zod's own pattern of a date and time.
      if (target.minimum === Number.MIN_SAFE_INTEGER) delete target.minimum;
      if (target.maximum === Number.MAX_SAFE_INTEGER) delete target.maximum;
      if (target.format === 'date-time') delete target.pattern;
      if (zodSchema instanceof z.ZodObject && io === 'output') delete target.additionalProperties;
    },
  });
  return made;
}
