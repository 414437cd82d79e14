//! The schemas of the API's bodies (JSON Schema 2020-12), in the words of `admin::view`.

use serde_json::{Value, json};

use super::openapi::network;

fn text(meaning: &str) -> Value {
    json!({ "type": "string", "description": meaning })
}

fn number(meaning: &str) -> Value {
    json!({ "type": "integer", "description": meaning })
}

fn moment(meaning: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": meaning })
}

fn maybe(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn list(of: Value) -> Value {
    json!({ "type": "array", "items": of })
}

/// An object. Keys with a `?` may be missing.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).filter(|name| !name.ends_with('?')).collect();
    let properties: serde_json::Map<String, Value> =
        fields.iter().map(|(name, schema)| (name.trim_end_matches('?').to_owned(), schema.clone())).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

/// The same for what is taken: nothing else may be in it.
fn taken<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let mut schema = object(fields);
    schema["additionalProperties"] = json!(false);
    schema
}

fn rows(of: &str) -> Value {
    object([
        ("rows", list(reference(of))),
        ("next?", maybe(text("what asks for the rows after these"))),
        ("total?", maybe(number("how many there are in all"))),
    ])
}

fn block() -> Value {
    object([
        ("code", text("the reference, such as K7Q2-M9XD")),
        ("action", json!({ "type": "string", "enum": ["block", "guard", "release", "expire"] })),
        ("subject", text("who is blocked: 192.0.2.7, 192.0.2.0/24, alice@example.test, send:alice@example.test …")),
        ("rule", text("by which rule, or manual")),
        ("by?", maybe(text("by which person or program"))),
        ("reason", text("the rule as it stood, or a person's reason")),
        ("since", moment("its beginning")),
        ("until?", maybe(moment("its end; null: permanent"))),
        ("score", number("the points of its evidence")),
        ("threshold", number("the points that were needed")),
        ("diagnosis", text("what lies behind it, such as password_guessing")),
        ("effect", text("how it is felt, such as drop")),
        ("offence", number("the how manieth; 0: by hand")),
        ("spares_familiar", json!({ "type": "boolean" })),
        ("in_kernel", json!({ "type": "boolean" })),
        (
            "ended?",
            object([
                ("how", text("released, expired or replaced")),
                ("time", moment("when")),
                ("by", text("by whom or what")),
            ]),
        ),
    ])
}

fn fleet() -> Value {
    let node = object([
        ("name", text("its name")),
        ("version", text("its program's version")),
        ("is_self", json!({ "type": "boolean" })),
        ("is_live", json!({ "type": "boolean" })),
        ("seen", moment("when it was heard of last")),
        ("lag_ms", number("by how much it is behind the newest decision, in milliseconds")),
        ("decisions", number("decisions that it knows")),
        ("waiting", number("decisions that it has not yet told")),
        ("is_limited", json!({ "type": "boolean" })),
    ]);
    object([
        ("state", json!({ "type": "string", "enum": ["alone", "catching up", "connected"] })),
        ("since", moment("since when")),
        ("server", text("the Valkey or Redis server")),
        ("problem", maybe(text("why this node is alone, and what to do"))),
        ("warnings", list(text("what one should know"))),
        ("nodes", list(node)),
        ("held_back", list(object([("name", text("the node")), ("count", number("blocks held back"))]))),
        ("decisions", number("decisions known")),
        ("waiting", number("decisions that wait to be told")),
        ("counted", number("failures counted together")),
        ("lost", number("failures that were not told, since there were too many")),
        ("clock_ahead_ms", number("this machine's clock less the server's, in milliseconds")),
    ])
}

fn time_for() -> Value {
    json!({
        "type": ["string", "null"], "examples": ["30m", "1d"],
        "description": "how long, such as 30m, 4h, 1d",
    })
}

/// A text that is like this.
fn like(mut schema: Value, meaning: &str) -> Value {
    schema["description"] = json!(meaning);
    schema
}

/// An address, a network or an account.
fn subject() -> Value {
    let account = json!({ "type": "string", "pattern": "^[a-z][a-z0-9]{0,20}@[a-z][a-z0-9]{0,20}\\.test$" });
    let mut schema = network();
    if let Some(choices) = schema["anyOf"].as_array_mut() {
        // Whatever else is written there is taken for an account.
        choices.push(account);
        choices.push(json!({ "type": "string" }));
    }
    schema
}

fn domains() -> Value {
    list(json!({ "type": "string" }))
}

/// All schemas by name.
pub(super) fn all() -> Value {
    let mut all = serde_json::Map::new();
    for (name, schema) in told().into_iter().chain(asked()) {
        all.insert(name.to_owned(), schema);
    }
    Value::Object(all)
}

fn told() -> Vec<(&'static str, Value)> {
    let tally = || list(object([("name", text("of what")), ("count", number("how many"))]));
    let any = || json!({ "type": "object" });
    vec![
        (
            "Problem",
            object([
                ("type", text("about:blank")),
                ("title", text("the status in words")),
                ("status", number("the status")),
                ("detail", text("what is wrong, and what to do")),
            ]),
        ),
        ("Done", object([("message", text("what was done"))])),
        ("Block", block()),
        ("BlockList", rows("Block")),
        (
            "BlockCreated",
            object([
                ("message", text("what was done")),
                ("subject", text("who is blocked")),
                ("code?", maybe(text("its reference"))),
            ]),
        ),
        (
            "Receipt",
            json!({ "allOf": [reference("Block"), object([
            ("nodes", domains()),
            ("nodes_missing", domains()),
            ("holes", domains()),
            ("events", list(any())),
            ("story", list(any())),
            ("offences_30_days", number("offences of the subject in the last 30 days")),
            ("never", list(reference("Never"))),
            ("felt", text("what enforces it")),
        ])] }),
        ),
        (
            "Never",
            object([
                ("net", text("the network")),
                ("reason", text("why")),
                ("by", text("who put it there")),
                ("added?", maybe(moment("when"))),
                ("until?", maybe(moment("when it ends by itself"))),
                ("removable", json!({ "type": "boolean" })),
            ]),
        ),
        ("NeverList", rows("Never")),
        (
            "Status",
            object([
                ("version", text("the program's version")),
                ("node", text("this node")),
                ("started", moment("when it was started")),
                ("profile", text("the profile of its rules")),
                (
                    "parts",
                    list(object([
                        ("name", text("which")),
                        ("level", json!({ "type": "string", "enum": ["good", "off", "warning", "bad"] })),
                        ("text", text("in words")),
                    ])),
                ),
                ("problems", domains()),
                ("warnings", domains()),
            ]),
        ),
        (
            "Overview",
            object([
                ("now", moment("the moment")),
                ("buckets", list(any())),
                ("bucket_secs", number("how long a bucket is")),
                ("by_rule", tally()),
                ("by_service", tally()),
                ("offenders", tally()),
                ("attacked", list(reference("AccountRow"))),
                ("standing", number("blocks of addresses in force")),
                ("manual", number("of these by hand")),
                ("guards", number("guards and locks of accounts in force")),
                ("send_blocks", number("send blocks in force")),
                ("newest", list(reference("Block"))),
                ("one_address?", maybe(text("an address that all seems to come from"))),
            ]),
        ),
        (
            "Checked",
            object([
                ("allowed", json!({ "type": "boolean" })),
                ("code?", text("by which block not")),
                ("until?", moment("until when not")),
                ("effect?", text("how it should be felt")),
                ("diagnosis?", text("what lies behind it")),
            ]),
        ),
        (
            "AccountRow",
            object([
                ("account", text("its name")),
                ("failures", number("failed sign-ins in the last day")),
                ("networks", number("from how many networks")),
                ("last?", maybe(moment("when the last one was"))),
                ("states", domains()),
            ]),
        ),
        ("AccountList", rows("AccountRow")),
        (
            "Account",
            object([
                ("account", text("its name")),
                ("familiar", list(any())),
                ("devices", list(any())),
                ("blocks", list(reference("Block"))),
                ("events", list(reference("Event"))),
                ("usually_sends?", maybe(text("what it usually sends"))),
            ]),
        ),
        (
            "Event",
            object([
                ("seq", number("its number")),
                ("node", text("who saw it")),
                ("outcome", text("what became of it")),
                ("kind", text("what was done, such as login_failed")),
                ("time", moment("when, by the source's clock")),
                ("client", text("by whom")),
                ("service", text("on which service")),
                ("account?", text("the account, as typed")),
            ]),
        ),
        ("EventList", rows("Event")),
        (
            "Audit",
            object([
                ("seq", number("its number")),
                ("time", moment("when")),
                ("actor", text("who")),
                ("act", text("what")),
                ("subject", text("to whom or what")),
                ("detail", text("anything more")),
                ("hash", text("the chain's SHA-256 up to here, in hexadecimal")),
            ]),
        ),
        ("AuditList", rows("Audit")),
        (
            "AuditState",
            object([
                ("entries", number("how many there are")),
                ("head", text("the chain's hash")),
                ("broken_at?", maybe(number("the first entry that is not as it was written"))),
            ]),
        ),
        ("Rules", object([("profile", text("the profile")), ("values", list(reference("RuleValue")))])),
        (
            "RuleValue",
            object([
                ("key", text("such as rule.login.threshold")),
                ("section", text("its section")),
                ("name", text("its name there")),
                ("meaning", text("what it means")),
                ("takes", text("what it takes")),
                ("value", text("the value in force, as TOML")),
                ("default", text("the profile's value, as TOML")),
                ("from", json!({ "type": "string", "enum": ["profile", "file", "here"] })),
            ]),
        ),
        (
            "WhatIf",
            object([
                ("problems", domains()),
                ("days", number("the days that were replayed")),
                ("events", number("with so many events")),
                ("is_cut", json!({ "type": "boolean" })),
                ("blocks_now", number("blocks with the values in force")),
                ("blocks_then", number("with these")),
                ("newly", list(any())),
                ("freed", list(any())),
                ("newly_with_sign_ins", number("newly blocked with accounts that signed in from there")),
                ("freed_with_sign_ins", number("freed with such accounts")),
            ]),
        ),
        (
            "RuleChange",
            object([
                ("seq", number("its number")),
                ("time", moment("when")),
                ("by", text("who")),
                ("reason", text("why")),
                ("changed", list(any())),
            ]),
        ),
        ("Fleet", fleet()),
        ("MaybeFleet", maybe(reference("Fleet"))),
        ("RuleChangeList", rows("RuleChange")),
        (
            "Feed",
            object([(
                "blocks",
                list(object([
                    ("net", text("address or network")),
                    ("until?", maybe(moment("its end"))),
                    ("rule", text("by which rule")),
                    ("code", text("its reference")),
                ])),
            )]),
        ),
        (
            "User",
            object([
                ("name", text("the name")),
                ("role", text("the role")),
                ("domains", domains()),
                ("second_factor", json!({ "type": "boolean" })),
                ("made", moment("when")),
                ("signed_in?", maybe(moment("when last"))),
            ]),
        ),
        ("UserList", rows("User")),
        ("LinkMade", object([("link", text("opens once")), ("expires", moment("when it ends unused"))])),
        (
            "Token",
            object([
                ("id", text("its id")),
                ("name", text("what it is for")),
                ("role", text("the role")),
                ("domains", domains()),
                ("made", moment("when")),
                ("by", text("by whom")),
                ("expires?", maybe(moment("when it ends"))),
                ("used?", maybe(moment("when last"))),
            ]),
        ),
        ("TokenList", rows("Token")),
        ("TokenMade", json!({ "allOf": [reference("Token"), object([("token", text("the token, told this once"))])] })),
    ]
}

fn asked() -> Vec<(&'static str, Value)> {
    let values = || {
        json!({
            "type": "object", "minProperties": 1, "description": "values by whole key, as TOML; null takes what was set here away",
            "additionalProperties": { "type": ["string", "null"] }, "examples": [{ "rule.login.threshold": "300" }],
        })
    };
    let scope = json!({ "type": "string", "enum": ["admin", "support", "read", "check", "administrator", "read_only", "domain_administrator"] });
    let flag = || json!({ "type": "boolean" });
    vec![
        ("HeldBackNode", taken([("node", text("whose blocks were held back"))])),
        (
            "NewBlock",
            taken([
                ("subject", like(subject(), "an address, a network or an account")),
                ("for?", time_for()),
                ("permanent?", flag()),
                ("reason?", text("why")),
            ]),
        ),
        ("BlockChange", taken([("for?", time_for()), ("permanent?", flag()), ("reason?", text("why"))])),
        (
            "NewNever",
            taken([("net", like(network(), "an address or network")), ("reason?", text("why")), ("for?", time_for())]),
        ),
        (
            "NewSendBlock",
            taken([
                ("sender", text("an address, @domain, @.domain, account=NAME or helo=NAME")),
                ("direction?", json!({ "type": "string", "enum": ["inbound", "outbound", "both"] })),
                ("reason?", text("why")),
                ("for?", time_for()),
            ]),
        ),
        ("NewValues", taken([("values", values()), ("reason?", text("why"))])),
        (
            "WhatIfQuestion",
            taken([("values", values()), ("days?", json!({ "type": "integer", "minimum": 1, "maximum": 14 }))]),
        ),
        (
            "NewLink",
            taken([
                (
                    "user?",
                    json!({ "type": ["string", "null"], "description": "whose password is set; nothing: a new user chooses a name" }),
                ),
                (
                    "role",
                    like(
                        json!({ "type": "string", "enum": ["administrator", "support", "read_only", "domain_administrator"] }),
                        "of a new user",
                    ),
                ),
                ("domains?", domains()),
            ]),
        ),
        (
            "NewToken",
            taken([
                ("name", text("what it is for")),
                ("scope", scope),
                ("domains?", domains()),
                ("expires?", time_for()),
            ]),
        ),
    ]
}
