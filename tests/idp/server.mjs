// An identity provider for tests: https://github.com/panva/node-oidc-provider, with everything in memory. It prints its
// address, puts new keys in place of old ones at POST /test/rotate and tells at GET /test/requests what was asked of it.

import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";

const requests = {};
let answer;

function jwk(kind, options, alg) {
  const { privateKey } = generateKeyPairSync(kind, options);
  return { ...privateKey.export({ format: "jwk" }), kid: randomUUID(), alg, use: "sig" };
}

function keys() {
  return [jwk("rsa", { modulusLength: 2048 }, "RS256"), jwk("ec", { namedCurve: "P-256" }, "ES256")];
}

function client(client_id, alg) {
  return {
    client_id,
    client_secret: `${client_id}-secret`,
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: alg,
  };
}

function provider(issuer) {
  const made = new Provider(issuer, {
    jwks: { keys: keys() },
    clients: [client("app", "RS256"), client("gateway", "RS256")],
    extraTokenClaims: () => ({ groups: ["everyone", "idp-data"], email: "kim@example.com" }),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => {
          const [, format, alg] = resource.split(":");
          return {
            scope: "llm",
            audience: "tollgate",
            accessTokenFormat: format,
            accessTokenTTL: 600,
            ...(format === "jwt" && { jwt: { sign: { alg } } }),
          };
        },
      },
    },
    ttl: { ClientCredentials: 600 },
  });
  return made.callback();
}

const server = createServer((request, response) => {
  const path = new URL(request.url, "http://x").pathname;
  if (path === "/test/requests") {
    return response.end(JSON.stringify(requests));
  }
  if (path === "/test/rotate") {
    answer = provider(issuer);
    return response.end("{}");
  }
  requests[path] = (requests[path] ?? 0) + 1;
  return answer(request, response);
});

let issuer;
server.listen(0, "127.0.0.1", () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  answer = provider(issuer);
  console.log(issuer);
});
