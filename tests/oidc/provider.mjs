// An OpenID provider (panva's oidc-provider, certified) for the tests of sign-in. Usage: node provider.mjs REDIRECT_URI. Prints its issuer.
// Its own pages for development sign anybody in: the login is the name and, behind a slash, the role.

import { createServer } from "node:http";
import Provider from "oidc-provider";

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "tidings",
        client_secret: "a secret & more",
        redirect_uris: [process.argv[2]],
        response_types: ["code"],
        grant_types: ["authorization_code"],
      },
    ],
    pkce: { required: () => true },
    claims: { openid: ["sub", "role"], profile: ["preferred_username"], email: ["email"] },
    conformIdTokenClaims: false,
    async findAccount(_, id) {
      const [name, role] = id.split("/");
      return { accountId: id, claims: () => ({ sub: `of-${name}`, preferred_username: name, role }) };
    },
  });
  provider.on("server_error", (_, error) => console.error(error));
  server.on("request", provider.callback());
  console.log(issuer);
});
