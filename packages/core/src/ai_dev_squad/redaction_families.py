r"""The table of token families: what a vendor's secrets begin with, and how they go on. Another family is another row.

A row is ``Family(kind, prefix, alphabet, least)`` and what it needs beyond: ``most`` where the length is bounded, a
``tail`` behind the body, ``alone`` where the prefix also occurs inside words, ``back`` where characters before the prefix
belong to the secret, ``entropy`` where the prefix says little. A secret is recognised at its least length, never by a
checksum: GitHub's and npm's tokens have one, yet a token that was cut or mistyped is still most of a secret.

Formats are the vendors' own documentation; as an index of who has one served the list of rules of gitleaks
(https://github.com/gitleaks/gitleaks, config/gitleaks.toml) and GitHub's table of supported patterns
(https://docs.github.com/code-security/secret-scanning/introduction/supported-secret-scanning-patterns). Keys that are just
letters and digits (Cohere, Mistral, Azure's 32 hexadecimal digits, AWS secret keys) are found by their name instead.
"""

from __future__ import annotations

import string
from typing import NamedTuple

__all__ = ["FAMILIES", "Family"]

_LETTERS = "A-Za-z0-9"
_WORD = r"\w\-"
_LOWER = "a-z0-9"
_UPPER = "A-Z0-9"
_HEX = "0-9a-f"
_BASE64 = "A-Za-z0-9+/="
_UUID_REST = "-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_UUID_END = "-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


class Family(NamedTuple):
    """One family of secrets. ``prefix``, ``alphabet`` (inside brackets) and ``tail`` are regular expressions."""

    kind: str
    """What the label says: ``[redacted:kind]``."""
    prefix: str
    """What every secret of the family begins with: characters and sets of them, no groups; one of them is rare in prose."""
    alphabet: str
    least: int
    most: int | None = None
    """How many characters of the alphabet may follow; with an upper bound nothing alphanumeric may follow that."""
    tail: str = ""
    alone: bool = False
    """Whether no letter or digit may stand before the prefix, as in ``task-`` before ``sk-``."""
    back: str = ""
    """The characters before the prefix that belong to the secret, such as the number of a bot before its token."""
    entropy: float = 0.0
    """The least Shannon entropy, in bits per character, of what is random in it."""


FAMILIES: tuple[Family, ...] = (
    # Models and what is built around them
    Family("anthropic-key", "sk-ant-", _WORD, 16),
    Family("langfuse-key", "sk-lf-", _WORD, 16),
    Family("openrouter-key", "sk-or-", _WORD, 16),
    Family("helicone-key", "sk-helicone-", _WORD, 16),
    Family("openai-key", "sk-proj-", _WORD, 16),
    Family("openai-key", "sk-svcacct-", _WORD, 16),
    Family("openai-key", "sk-service-", _WORD, 16),
    Family("openai-key", "sk-admin-", _WORD, 16),
    Family("openai-key", "sk-None-", _WORD, 16),
    Family("openai-key", "sk-", _LETTERS, 16, tail=r"[\w-]{4,}", alone=True),
    Family("moonshot-key", "sk-kimi-", _LETTERS, 40, alone=True),
    Family("minimax-key", "sk-api-", _WORD, 40, alone=True),
    Family("openai-session", "sess-", _LETTERS, 40, alone=True),
    Family("openai-session", "ek_", _HEX, 32, 32, alone=True),
    Family("cerebras-key", "csk-", _LETTERS, 32),
    Family("google-key", "AIza", _WORD, 30),
    Family("google-key", r"AQ\.Ab", _WORD, 30),
    Family("groq-key", "gsk_", _LETTERS, 20),
    Family("huggingface-token", "hf_", _LETTERS, 30, alone=True),
    Family("huggingface-token", "api_org_", _LETTERS, 30, alone=True),
    Family("xai-key", "xai-", _LETTERS, 40),
    Family("perplexity-key", "pplx-", _LETTERS, 20),
    Family("llamacloud-key", "llx-", _LETTERS, 40, alone=True),
    Family("tavily-key", "tvly-", _WORD, 16),
    Family("nvidia-key", "nvapi-", _WORD, 20),
    Family("fireworks-key", "fw_", _LETTERS, 20, alone=True),
    Family("together-key", "tgp_v1_", _WORD, 20),
    Family("replicate-token", "r8_", _LETTERS, 30, alone=True),
    Family("pinecone-key", "pcsk_", r"\w", 20),
    Family("voyage-key", "pa-", _WORD, 40, alone=True, entropy=4.2),
    Family("zhipu-key", r"[0-9a-f]{32}\.", _LETTERS, 16, 16, alone=True, entropy=3.0),
    Family("jina-key", "jina_", _WORD, 30),
    Family("elevenlabs-key", "sk_", _HEX, 40, alone=True),
    Family("firecrawl-key", "fc-", _HEX, 32, 32, alone=True),
    Family("browserbase-key", "bb_live_", _WORD, 20, alone=True),
    Family("e2b-key", "e2b_", _HEX, 40, alone=True),
    Family("runpod-key", "rpa_", _LETTERS, 40, alone=True),
    Family("cartesia-key", "sk_car_", _WORD, 20),
    Family("friendli-token", "flp_", _LETTERS, 40, alone=True),
    Family("modal-token", "a[ks]-", _LETTERS, 22, 22, alone=True, entropy=3.8),
    Family("brave-key", "BSA", _WORD, 27, 28, alone=True, entropy=3.8),
    Family("mem0-key", "m0-", _LETTERS, 40, alone=True),
    Family("composio-key", "ak_", _LETTERS, 20, 20, alone=True, entropy=3.5),
    Family("cursor-key", "key_", _HEX, 64, 64, alone=True),
    Family("cursor-key", "crsr_", _HEX, 64, 64, alone=True),
    Family("apify-token", "apify_api_", _LETTERS, 30),
    Family("langsmith-key", "lsv2_[ps][tk]_", r"\w", 20),
    Family("wandb-key", "wandb_v1_", r"\w", 30),
    Family("posthog-key", "phx_", _LETTERS, 30, alone=True),
    Family("posthog-key", "phs_", _LETTERS, 30, alone=True),
    Family("logfire-token", r"pylf_v\d_", r"\w", 30),
    Family("traceloop-key", "tl_", _HEX, 64, 64, alone=True),
    Family("promptlayer-key", "pl_", _HEX, 32, 32, alone=True),
    Family("arize-key", "ak-", _HEX, 8, 8, rf"{_UUID_REST}-[\w-]{{20,}}", alone=True),
    # Clouds
    Family("aws-access-key", "A[KSB]IA", _UPPER, 16, alone=True),
    Family("aws-access-key", "ACCA", _UPPER, 16, alone=True),
    Family("aws-session-token", "IQoJb3JpZ2luX2Vj", _BASE64, 100, alone=True),
    Family("aws-session-token", "F[wQ]oGZXIvYXdz", _BASE64, 100, alone=True),
    Family("amazon-token", r"Atz[ra]\|", _WORD + "+/=", 60),
    Family("amazon-secret", r"amzn1\.oa2-cs\.v1\.", _HEX, 60),
    Family("amazon-token", r"amzn\.mws\.", _HEX, 8, 8, _UUID_REST),
    Family("bedrock-key", "ABSK", _BASE64, 60, alone=True),
    Family("bedrock-key", "bedrock-api-key-", _BASE64 + "_-", 30),
    Family("google-oauth-token", r"ya29\.", _WORD, 20),
    Family("google-oauth-secret", "GOCSPX-", _WORD, 20),
    Family("google-storage-key", "GOOG1", _UPPER, 50, alone=True),
    # The beginning of a service account's file, in Base64
    Family("google-credentials", "ewogICJ0eXBlIjogInNlcnZpY2VfYWNjb3VudCI", _BASE64, 40),
    Family("google-credentials", "eyJ0eXBlIjogInNlcnZpY2VfYWNjb3VudCI", _BASE64, 40),
    Family("google-credentials", "eyJ0eXBlIjoic2VydmljZV9hY2NvdW50I", _BASE64, 40),
    Family("azure-key", "JQQJ9[9D]", _LETTERS, 20, back=string.ascii_letters + string.digits),
    Family("azure-secret", r"[\w~.-]{3}\dQ~", r"\w~.-", 31, 40),
    Family("azure-key", r"[\w-]{44}AzFu", _WORD, 5, 5, "[AQgw]=="),
    Family("azure-key", "[A-Za-z0-9]{42}AzSe[A-D]", _LETTERS, 5, 5),
    Family("azure-key", "[A-Za-z0-9]{33}AzCa[A-P]", _LETTERS, 5, 5, "="),
    Family("azure-key", r"[A-Za-z0-9+/]{76}\+ASt", "A-Za-z0-9+/", 5, 5, "[AQgw]=="),
    Family("azure-key", "[A-Za-z0-9+/]{76}ACDb", "A-Za-z0-9+/", 5, 5, "[AQgw]=="),
    Family("azure-key", r"[A-Za-z0-9+/]{33}\+A[ESR][hbm][A-P]", "A-Za-z0-9+/", 5, 5, "="),
    Family("microsoft-token", r"[01]\.A", _WORD + ".", 300, alone=True),
    Family("tencent-key", "AKID", _LETTERS, 32, 32, alone=True, entropy=3.5),
    Family("volcengine-key", "AKLT", _LETTERS, 40, alone=True),
    Family("baidu-key", "ALTAK-", _LETTERS, 20, tail="(?:/[0-9a-f]{40})?"),
    Family("alibaba-token", r"STS\.", _LETTERS, 24, alone=True),
    Family("alibaba-access-key", "LTAI", _LETTERS, 16, 26, alone=True),
    Family("digitalocean-token", "do[opr]_v1_", _HEX, 40),
    Family("cloudflare-key", r"v1\.0-", _HEX, 24, tail="-[0-9a-f]{100,}"),
    Family("cloudflare-key", "cfk_", _WORD, 40, alone=True),
    Family("cloudflare-key", "cf[ua]t_", _WORD, 40, alone=True),
    Family("vercel-token", "vc[piark]_", _WORD, 24, alone=True, entropy=3.5),
    Family("vercel-token", "vercel_blob_rw_", _LETTERS + "_", 30),
    Family("render-key", "rnd_", _LETTERS, 24, alone=True, entropy=3.5),
    Family("heroku-key", "HRKU-", _WORD, 30),
    Family("fly-token", "fo1_", _WORD, 40, alone=True),
    Family("fly-token", "fm1[ar]_", _BASE64, 60, alone=True),
    Family("fly-token", "fm2_", _BASE64, 60, alone=True),
    Family("netlify-token", "nfp_", _LETTERS, 36, alone=True),
    Family("scalingo-token", "tk-us-", _WORD, 48, alone=True),
    Family("tailscale-key", "tskey-", _WORD, 16),
    Family("yandex-key", "AQVN", _WORD, 30, alone=True),
    Family("openshift-token", "sha256~", _WORD, 43),
    # Where code lives and is built
    Family("github-token", "gh[opusr]_", _LETTERS, 30),
    Family("github-token", "github_pat_", r"\w", 22),
    *(
        Family("gitlab-token", f"{prefix}-", _WORD, 16, tail=r"(?:\.[0-9a-z]{2,12}){0,2}")
        for prefix in "glpat glptt gldt glrt glrtr glcbt glft glffct glimt glagent gloas glsoat glwt".split()
    ),
    Family("gitlab-token", "GR1348941", _WORD, 20),
    Family("bitbucket-token", "ATBB", _LETTERS, 28, alone=True),
    Family("atlassian-token", "AT[AC]TT3x[A-Z]fG", _WORD + "=", 30),
    Family("npm-token", "npm_", _LETTERS, 30),
    Family("crates-token", "cio", _LETTERS, 32, 32, alone=True, entropy=3.8),
    Family("deno-token", "dd[pow]_", _LETTERS, 36, 36, alone=True),
    Family("packagist-token", "packagist_[a-z]{3}_", _HEX, 40),
    Family("sonar-token", "sq[pua]_", _HEX, 40, alone=True),
    Family("snyk-token", r"snyk_[a-z]{3}\.[0-9a-f]{8}\.", _WORD, 30),
    Family("buildkite-token", "bkua_", _HEX, 40, alone=True),
    Family("bitwarden-token", r"0\.", _HEX, 8, 8, rf"{_UUID_REST}\.[A-Za-z0-9]{{30}}:[A-Za-z0-9+/=]{{20,}}"),
    Family("rancher-token", "token-[a-z0-9]{5}:", _LOWER, 50),
    Family("k3s-token", "K10", _HEX, 64, 64, r"::[\w.-]{1,60}:[\w.-]{16,}"),
    Family("trigger-key", "tr_[dsp][eta][vgt]_", _LETTERS, 20, alone=True),
    Family("trigger-key", "tr_prod_", _LETTERS, 20, alone=True),
    Family("inngest-key", "signkey-[pt][re][os][dt]-", _HEX, 32),
    Family("unkey-key", "unkey_", r"\w", 20),
    Family("pypi-token", "pypi-A", _WORD, 31),
    Family("rubygems-key", "rubygems_", _HEX, 48),
    Family("clojars-token", "CLOJARS_", _LOWER, 60),
    Family("artifactory-key", "AKCp", _LETTERS, 60, alone=True),
    Family("artifactory-key", "cmVmdGtu", _LETTERS, 50, alone=True),
    Family("docker-token", "dckr_[po]at_", _WORD, 20),
    Family("circleci-token", "CCIP[AR][TJ]_", r"\w", 30),
    Family("octopus-key", "API-", _UPPER, 26, 26, alone=True, entropy=2.5),
    Family("pulumi-token", "pul-", _HEX, 40, alone=True),
    Family("terraform-token", r"[A-Za-z0-9]{14}\.atlasv1\.", _WORD + "=", 50),
    Family("infracost-key", "ico-", _LETTERS, 32, alone=True),
    Family("prefect-key", "pn[ub]_", _LETTERS, 36, alone=True),
    Family("sourcegraph-token", "sgp_", r"\w", 40, alone=True),
    Family("postman-key", "PMAT-", _UPPER, 26, 26, alone=True),
    Family("postman-key", "PMAK-", _HEX, 24, tail="-[0-9a-f]{30,}"),
    Family("doppler-token", r"dp\.[a-z]{2}\.", _LETTERS + "_.-", 40, alone=True),
    Family("vault-token", r"hv[bsr]\.", _WORD, 24),
    Family("onepassword-token", "ops_eyJ", _BASE64 + "_-", 60),
    Family("onepassword-key", "A3-[A-Z0-9]{6}-", _UPPER, 6, tail="-?[A-Z0-9]{5}(?:-[A-Z0-9]{5}){3}", alone=True),
    Family("age-key", "AGE-SECRET-KEY-1", _UPPER, 58),
    Family("launchdarkly-key", "[sam][dpo][kib]-[0-9a-f]{8}-", _HEX, 4, 4, _UUID_END, alone=True),
    Family("harness-key", r"[ps]at\.[\w-]{22}\.", _LETTERS, 24, tail=r"\.[A-Za-z0-9]{20}", alone=True),
    # Data
    Family("databricks-token", "dapi", _HEX, 32, tail=r"(?:-\d)?"),
    Family("supabase-key", "sbp_", _HEX, 40, alone=True),
    Family("supabase-key", "sb_secret_", _WORD, 20),
    Family("planetscale-key", "pscale_tkn_", r"\w=.-", 32),
    Family("planetscale-key", "pscale_oauth_", r"\w=.-", 32),
    Family("planetscale-key", "pscale_pw_", r"\w=.-", 32),
    Family("mongodb-key", "mdb_sa_sk_", _WORD, 30),
    Family("aiven-password", "AVNS_", _WORD, 16, alone=True),
    Family("elastic-key", "essu_", _BASE64, 40, alone=True),
    Family("neon-key", "napi_", _LETTERS, 40, alone=True),
    Family("clickhouse-key", "4b1d", _LETTERS, 38, 38, alone=True, entropy=3.5),
    Family("airtable-token", r"pat[A-Za-z0-9]{14}\.", _HEX, 60, alone=True),
    Family("xata-key", "xau_", _LETTERS, 30, alone=True),
    Family("nats-seed", "S[UAON]", "A-Z2-7", 56, 56, alone=True, entropy=3.5),
    # Watching
    Family("grafana-token", "glsa_", r"\w", 30),
    Family("grafana-token", "glc_", _BASE64, 32, alone=True),
    Family("grafana-token", "eyJrIjoi", _BASE64, 60, alone=True),  # its keys of before: {"k":"…
    Family("sentry-token", "sntrys_", _BASE64 + "_-", 40),
    Family("sentry-token", "sntry[aiu]_", _HEX, 60),
    Family("axiom-token", "xaat-", _HEX, 8, 8, _UUID_REST, alone=True),
    Family("axiom-token", "xapt-", _HEX, 8, 8, _UUID_REST, alone=True),
    Family("newrelic-key", "NRAK-", _UPPER, 27),
    Family("newrelic-key", "NRII-", _WORD, 32),
    Family("dynatrace-token", r"dt0[a-z]\d\d\.", _LETTERS, 24, tail=r"\.[A-Za-z0-9]{60,}"),
    Family("honeycomb-key", "hc[abi][a-z][a-z]_", _LOWER, 50, alone=True),
    # Talking, paying, planning
    Family("slack-token", "xox[abceprs]-", _WORD, 10),
    Family("slack-token", "xoxo-", r"\d", 5, tail=r"-[\w-]{6,}"),
    Family("slack-token", "xapp-", _WORD, 10),
    Family("slack-token", "xoxd-", _WORD + "%+/=", 40),
    Family("slack-webhook", r"hooks\.slack\.com/", r"\w/+-", 24),
    Family("discord-webhook", r"discord\.com/api/webhooks/", r"\w/-", 40),
    Family("discord-webhook", r"discordapp\.com/api/webhooks/", r"\w/-", 40),
    Family("discord-token", r"[MNO][\w-]{23}\.[\w-]{6}\.", _WORD, 27, alone=True, entropy=3.5),
    Family("discord-token", r"[MNO][\w-]{25}\.[\w-]{6}\.", _WORD, 27, alone=True, entropy=3.5),
    Family("teams-webhook", r"\.webhook\.office\.com/webhookb2/", r"\w@/-", 60),
    Family("zapier-webhook", r"hooks\.zapier\.com/hooks/catch/", r"\w/", 8),
    Family("feishu-webhook", r"open\.feishu\.cn/open-apis/bot/v2/hook/", _HEX + "-", 30),
    Family("feishu-webhook", r"open\.larksuite\.com/open-apis/bot/v2/hook/", _HEX + "-", 30),
    Family("ifttt-webhook", "/with/key/", _WORD, 20),
    Family("make-webhook", r"hook\.[a-z]{2}\d\.make\.com/", _LOWER, 20),
    Family("infura-key", r"\.infura\.io/v3/", _HEX, 32),
    Family("alchemy-key", r"\.alchemy\.com/v2/", _WORD, 20),
    Family("telegram-token", r"\d{8}:", _WORD, 35, 35, alone=False, back=string.digits, entropy=3.5),
    Family("twilio-key", "SK", _HEX, 32, alone=True),
    Family("sendgrid-key", r"SG\.", _WORD, 16, 64, r"\.[\w-]{16,}", alone=True),
    Family("mailgun-key", "key-", _HEX, 32, 32, alone=True),
    Family("mailgun-key", r"[0-9a-f]{32}-[0-9a-f]{8}-", _HEX, 8, 8, alone=True, entropy=3.0),
    Family("mailchimp-key", "[0-9a-f]{32}-us", r"\d", 1, 2, alone=True, entropy=3.0),
    Family("brevo-key", "xkeysib-", _WORD, 60),
    Family("brevo-key", "xsmtpsib-", _WORD, 60),
    Family("mailersend-token", r"mlsn\.", _HEX, 60),
    Family("onesignal-key", "os_v2_[a-z]{3}_", _LOWER, 60),
    Family("intercom-token", "dG9rO", _BASE64, 50, alone=True),
    Family("resend-key", "re_[A-Za-z0-9]{8}_", _LETTERS, 20, alone=True),
    Family("stripe-key", "[sr]k_live_", _LETTERS, 16),
    Family("stripe-key", "[sr]k_test_", _LETTERS, 16),
    Family("stripe-key", "[sr]k_prod_", _LETTERS, 16),
    Family("stripe-key", "sk_org_live_", _LETTERS, 16),
    Family("stripe-key", "sk_org_test_", _LETTERS, 16),
    Family("stripe-key", "ek_live_", _BASE64, 16),
    Family("stripe-key", "ek_test_", _BASE64, 16),
    Family("stripe-key", "_secret_", _LETTERS, 24, 40, back=string.ascii_letters + string.digits + "_", entropy=3.8),
    Family("stripe-webhook-secret", "whsec_", _BASE64, 24),
    Family("shopify-token", "shp[acpsur][ats]_", "A-Fa-f0-9", 32),
    Family("shopify-token", "shptka_", "A-Fa-f0-9", 32),
    Family("square-token", "sq0[a-z]{3}-", _WORD, 22),
    Family("square-token", "EAAA", _WORD, 60, 60, alone=True, entropy=3.5),
    Family("facebook-token", "EAA[A-Z]", _LETTERS, 100, alone=True, entropy=3.5),
    # An application's number and its secret. Other numbers stand before hexadecimal ones, such as a time in microseconds
    # before the identity of a trace, so those have the fifteen digits of an application and no more.
    Family("facebook-token", r"\d{15}\|", _WORD, 27, 27, back=string.digits, entropy=3.5),
    Family("facebook-token", r"\d{15}\|", _HEX, 32, 32, alone=True, entropy=3.5),
    Family("razorpay-key", "rzp_live_", _LETTERS, 14),
    Family("razorpay-key", "rzp_test_", _LETTERS, 14),
    Family("paddle-key", "pdl_[a-z]{4}_apikey_", _LETTERS + "_", 40),
    Family("polar-token", "polar_[a-z]{3}_", _LETTERS, 30),
    Family("plaid-token", "access-sandbox-", _HEX, 8, 8, _UUID_REST),
    Family("plaid-token", "access-production-", _HEX, 8, 8, _UUID_REST),
    Family("mollie-key", "live_", _LETTERS, 30, 30, alone=True, entropy=4.0),
    Family("checkout-key", "sk_sbox_", _LETTERS, 20),
    Family("braintree-token", r"access_token\$production\$", _LOWER, 16, 16, r"\$[0-9a-f]{32}"),
    Family("braintree-token", r"access_token\$sandbox\$", _LOWER, 16, 16, r"\$[0-9a-f]{32}"),
    Family("mercadopago-token", r"APP_USR-\d{16}-\d{6}-", _HEX, 32, 32, r"(?:__[A-Z]{2}_[A-Z]{2}__)?-\d{4,12}"),
    Family("flutterwave-key", "FLWSECK-", _LETTERS, 12),
    Family("flutterwave-key", "FLWSECK_TEST-", _LETTERS, 12),
    Family("easypost-key", "EZ[AT]K", _LETTERS, 54, alone=True),
    Family("intra42-secret", "s-s4t2[ua][df]-", _HEX, 64, alone=True),
    Family("settlemint-token", "sm_[aps]at_", _LETTERS, 16, alone=True),
    Family("shippo-token", "shippo_[a-z]{4}_", _HEX, 40),
    Family("duffel-token", "duffel_[a-z]{4}_", _WORD, 40),
    Family("hubspot-token", "pat-[a-z]{2}[0-9]-", _HEX, 8, 8, f"-[0-9a-f]{{4}}{_UUID_END}", alone=True),
    Family("linear-key", "lin_api_", _LETTERS, 32),
    Family("linear-key", "lin_oauth_", _LETTERS, 32),
    Family("asana-token", r"/\d{16}:", _HEX, 32, 32, back=string.digits + "/"),
    Family("clickup-token", "pk_", r"\d", 5, 10, "_[A-Z0-9]{32}", alone=True),
    Family("trello-token", "ATTA", "0-9A-Fa-f", 64, alone=True),
    Family("salesforce-token", "00D[A-Za-z0-9]{12}!A", r"\w.", 60),
    Family("salesforce-token", "00D[A-Za-z0-9]{15}!A", r"\w.", 60),
    Family("salesforce-token", "5Aep861", r"\w.", 60, alone=True),
    Family("linkedin-secret", r"WPL_AP\d\.", _LETTERS + "_.=-", 16),
    Family("instagram-token", "IG[QA][VWA]", _WORD, 100, alone=True),
    Family("notion-token", "ntn_", _LETTERS, 40),
    Family("notion-token", "secret_", _LETTERS, 43, 43, alone=True, entropy=3.5),
    Family("figma-token", "fig[dopu]_", _WORD, 40, alone=True),
    Family("typeform-token", "tfp_", _WORD + ".", 40, alone=True),
    Family("contentful-token", "CFPAT-", _WORD, 40),
    Family("readme-key", "rdme_", _LOWER, 60),
    Family("frameio-token", "fio-u-", _WORD + "=", 60),
    Family("adobe-secret", "p8e-", _LETTERS, 32, 32, alone=True),
    Family("maxmind-key", "[A-Za-z0-9]{6}_", _LETTERS, 29, 29, "_mmk"),
    Family("dropbox-token", r"sl\.", _WORD, 100, alone=True),
    # Everywhere
    Family("password-hash", r"\$2[aby]\$\d\d\$", "A-Za-z0-9./", 53, 53),
    Family("password-hash", r"\$argon2", r"\w$=,+/", 40),
    Family("password-hash", r"\$[156y]\$", "A-Za-z0-9./$=", 22),
    Family("password-hash", r"\$apr1\$", "A-Za-z0-9./$", 22),
    Family("bitcoin-key", "xprv", _LETTERS, 100, alone=True),
    # What a private key begins with, its lines in Base64 once more: RSA, EC, DSA, OPENSSH, ENCRYPTED, or none of them
    *(
        Family("private-key", f"LS0tLS1CRUdJTiB{kind}", _BASE64, 60)
        for kind in ("SU0Eg", "FQyBQ", "EU0Eg", "PUEVOU1NI", "FTkNSWVBU", "QUklWQVRF")
    ),
    Family("jwt", "eyJ", _WORD, 8, 1000, r"\.[\w-]{8,}(?:\.[\w-]+){0,3}", alone=True),
)
