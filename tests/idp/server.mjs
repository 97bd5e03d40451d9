// An identity provider for tests: https://github.com/panva/node-oidc-provider, with everything in memory. It prints its
// address, puts new keys in place of old ones at POST /test/rotate and tells at GET /test/requests what was asked of it.
// People sign in at /interaction/…?login=NAME, as a form would have them do.

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

// Programs where people sign in: one that keeps a secret, and one that cannot.
function site(client_id, token_endpoint_auth_method) {
  return {
    client_id,
    ...(token_endpoint_auth_method !== "none" && { client_secret: `${client_id}-secret` }),
    grant_types: ["authorization_code"],
    redirect_uris: ["https://gateway.example.com/admin/v1/sign-in/idp/callback"],
    response_types: ["code"],
    token_endpoint_auth_method,
  };
}

const people = {
  kim: { email: "kim@example.com", email_verified: true, groups: ["everyone", "gateway-owners"] },
  lee: { email: "lee@example.com", email_verified: true, groups: ["acme-admins"] },
  pat: { email: "pat@example.com", email_verified: true, groups: ["everyone"] },
  mal: { email: "kim@example.com", email_verified: false, groups: ["gateway-viewers"] },
};

function provider(issuer) {
  const made = new Provider(issuer, {
    jwks: { keys: keys() },
    clients: [
      client("app", "RS256"),
      client("gateway", "RS256"),
      site("console", "client_secret_basic"),
      site("console-public", "none"),
    ],
    claims: { openid: ["sub"], email: ["email", "email_verified"], groups: ["groups"] },
    scopes: ["openid"],
    pkce: { required: () => true },
    findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    loadExistingGrant: async ({ oidc }) => {
      const grant = new oidc.provider.Grant({
        clientId: oidc.client.clientId,
        accountId: oidc.session.accountId,
      });
      grant.addOIDCScope("openid email groups");
      await grant.save();
      return grant;
    },
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
  // Gateways listen where there is room.
  made.Client.prototype.redirectUriAllowed = (uri) => /^http:\/\/127\.0\.0\.1:\d+\/admin\/v1\/sign-in\/[a-z-]+\/callback$/.test(uri);
  made.Client.prototype.postLogoutRedirectUriAllowed = () => false;
  const answer = made.callback();
  return (request, response) => {
    const url = new URL(request.url, issuer);
    if (!url.pathname.startsWith("/interaction/")) {
      return answer(request, response);
    }
    const login = { accountId: url.searchParams.get("login") };
    const result = login.accountId ? { login } : { error: "access_denied" };
    return made.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  };
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
