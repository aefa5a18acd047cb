// An OpenID provider for tests: whoever types a name in is that, and any password will do.
// Its arguments: its own URL, where it sends people back to, the client's secret, and a file that says as JSON
// whom it knows: {NAME: CLAIMS}.
import { readFileSync } from "node:fs";
import Provider from "oidc-provider";

const [issuer, back, secret, people] = process.argv.slice(2);
const find = (name) => JSON.parse(readFileSync(people, "utf-8"))[name] || {};
const provider = new Provider(issuer, {
  clients: [{ client_id: "provost", client_secret: secret, redirect_uris: [back], grant_types: ["authorization_code"] }],
  pkce: { required: () => true },
  cookies: { keys: ["of the tests"] },
  claims: { openid: ["sub"], profile: ["preferred_username"], email: ["email", "email_verified"] },
  conformIdTokenClaims: true,
  findAccount: (_context, sub) => ({ accountId: sub, claims: () => ({ sub, preferred_username: sub, ...find(sub) }) }),
});
const { port } = new URL(issuer);
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
