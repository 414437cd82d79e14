//! The OpenAPI document, made from the table of routes.

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::{Problem, schema};
use crate::admin::{Asked, Route};

/// A parameter of a path or query.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    name: &'static str,
    place: &'static str,
    meaning: &'static str,
    choices: &'static [&'static str],
    is_number: bool,
    is_needed: bool,
    /// What such a text is like, as JSON Schema has it.
    like: Option<fn() -> Value>,
}

const fn parameter(name: &'static str, place: &'static str, meaning: &'static str) -> Parameter {
    Parameter { name, place, meaning, choices: &[], is_number: false, is_needed: false, like: None }
}

/// A value of the query.
pub(super) fn query(name: &'static str, meaning: &'static str, choices: &'static [&'static str]) -> Parameter {
    Parameter { choices, ..parameter(name, "query", meaning) }
}

/// A value of the query that has to be there.
pub(super) fn needed(name: &'static str, meaning: &'static str) -> Parameter {
    Parameter { is_needed: true, ..parameter(name, "query", meaning) }
}

/// A part of the path.
pub(super) fn path_parameter(name: &'static str, meaning: &'static str) -> Parameter {
    Parameter { is_needed: true, ..parameter(name, "path", meaning) }
}

/// How many rows.
pub(super) fn limit() -> Parameter {
    Parameter { is_number: true, ..parameter("limit", "query", "the most rows: 1 to 1000") }
}

/// From where on.
pub(super) fn cursor() -> Parameter {
    parameter("cursor", "query", "the rows after these: what `next` was")
}

/// The same, where it is a number.
pub(super) fn number_cursor() -> Parameter {
    cursor().like(|| json!({ "type": "string", "pattern": "^[0-9]{1,18}$" }))
}

/// An address.
pub(super) fn address() -> Value {
    json!({ "anyOf": [{ "type": "string", "format": "ipv4" }, { "type": "string", "format": "ipv6" }] })
}

/// An address or network.
pub(super) fn network() -> Value {
    let byte = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
    let v4 = format!(r"^{byte}\.{byte}\.{byte}\.{byte}/(3[0-2]|[12]?[0-9])$");
    let v6 = r"^[1-9a-f][0-9a-f]{0,3}:[1-9a-f][0-9a-f]{0,3}::/(12[0-8]|1[01][0-9]|[1-9]?[0-9])$";
    json!({ "anyOf": [
        { "type": "string", "format": "ipv4" }, { "type": "string", "format": "ipv6" },
        { "type": "string", "pattern": v4 }, { "type": "string", "pattern": v6 },
    ] })
}

/// A moment.
pub(super) fn moment() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

impl Parameter {
    /// The same with what its text is like.
    pub(super) fn like(self, schema: fn() -> Value) -> Self {
        Parameter { like: Some(schema), ..self }
    }

    /// Whether a value is as the document says, as far as that can be told at a glance.
    fn check(&self, value: &str) -> Result<(), Problem> {
        let name = self.name;
        if self.is_number && !value.parse::<u32>().is_ok_and(|number| (1..=1000).contains(&number)) {
            return Err(Problem::wrong(format!("{name} is a number from 1 to 1000")));
        }
        if !self.choices.is_empty() && !self.choices.contains(&value) {
            return Err(Problem::wrong(format!("{name} is one of {}", self.choices.join(", "))));
        }
        if self.like.is_some() && value.trim().is_empty() {
            return Err(Problem::wrong(format!("{name} is empty: leave it out instead")));
        }
        Ok(())
    }
}

/// A call, as it is documented.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    tag: &'static str,
    id: &'static str,
    summary: &'static str,
    parameters: Vec<Parameter>,
    body: Option<&'static str>,
    answer: (u16, &'static str, &'static str),
}

impl Operation {
    /// Whether a request's query is one that the document tells of.
    pub(crate) fn check(&self, asked: &Asked) -> Result<(), Problem> {
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in asked.queries() {
            let of_query = |parameter: &&Parameter| parameter.place == "query" && parameter.name == name;
            let Some(parameter) = self.parameters.iter().find(of_query) else {
                let name: String = name.chars().take(60).collect();
                return Err(Problem::wrong(format!("there is no parameter '{name}' here: see /api/v1/openapi.json")));
            };
            if seen.contains(&parameter.name) {
                return Err(Problem::wrong(format!("{} is given twice", parameter.name)));
            }
            seen.push(parameter.name);
            parameter.check(value)?;
        }
        Ok(())
    }

    fn new(method: Method, path: &'static str, tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        let answer = (200, "application/json", "Done");
        Operation { method, path, tag, id, summary, parameters: Vec::new(), body: None, answer }
    }

    pub(super) fn get(path: &'static str, tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        Operation::new(Method::GET, path, tag, id, summary)
    }

    pub(super) fn post(path: &'static str, tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        Operation::new(Method::POST, path, tag, id, summary)
    }

    pub(super) fn patch(path: &'static str, tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        Operation::new(Method::PATCH, path, tag, id, summary)
    }

    pub(super) fn delete(path: &'static str, tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        Operation::new(Method::DELETE, path, tag, id, summary)
    }

    pub(super) fn with(mut self, parameters: impl IntoIterator<Item = Parameter>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// The same with a body of this schema.
    pub(super) fn takes(mut self, schema: &'static str) -> Self {
        self.body = Some(schema);
        self
    }

    /// The same with an answer of this status and schema.
    pub(super) fn gives(mut self, status: u16, schema: &'static str) -> Self {
        self.answer = (status, "application/json", schema);
        self
    }

    /// The same with an answer of text.
    pub(super) fn gives_text(mut self, kind: &'static str) -> Self {
        self.answer = (200, kind, "");
        self
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn problem(description: &str) -> Value {
    json!({ "description": description, "content": { "application/problem+json": { "schema": reference("Problem") } } })
}

fn shown(parameter: &Parameter) -> Value {
    let mut schema = match (parameter.is_number, parameter.choices) {
        (false, []) if parameter.like.is_some() => parameter.like.map(|like| like()).unwrap_or_default(),
        (true, _) => json!({ "type": "integer", "minimum": 1, "maximum": 1000 }),
        (false, []) => json!({ "type": "string" }),
        (false, choices) => json!({ "type": "string", "enum": choices }),
    };
    if parameter.place == "path" && parameter.like.is_none() {
        schema["minLength"] = json!(1);
    }
    json!({
        "name": parameter.name, "in": parameter.place, "description": parameter.meaning,
        "required": parameter.is_needed, "schema": schema,
    })
}

fn answers(operation: &Operation) -> Value {
    let (status, kind, schema) = operation.answer;
    let body = if schema.is_empty() { json!({ "type": "string" }) } else { reference(schema) };
    let mut answers = Map::new();
    answers.insert(status.to_string(), json!({ "description": "done", "content": { kind: { "schema": body } } }));
    if operation.tag == "feeds" {
        answers.insert("304".to_owned(), json!({ "description": "the list is the one that the client has" }));
    }
    for (status, description) in [
        ("400", "the request cannot be read"),
        ("401", "there is no token, or it is none of ours"),
        ("403", "the token's role has not the right for it"),
        ("404", "there is no such thing, or it is not to be seen"),
        ("405", "the path does not take that method"),
        ("409", "it cannot be done as things are: `detail` says why"),
        ("413", "the body is too large"),
        ("415", "the body is not JSON"),
        ("422", "a value makes no sense: `detail` says which"),
        ("429", "too many requests: `Retry-After` says how long to wait"),
        ("503", "the daemon cannot answer now"),
        ("504", "it took too long"),
    ] {
        answers.insert(status.to_owned(), problem(description));
    }
    Value::Object(answers)
}

fn described(route: &Route, operation: &Operation) -> Value {
    let mut parameters: Vec<Value> = operation.parameters.iter().map(shown).collect();
    if operation.method != Method::GET {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "the same key again within a day gets the same answer, and changes nothing",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        }));
    }
    let grades: Vec<&str> = route.grades.iter().map(|grade| grade.as_str()).collect();
    let mut told = json!({
        "operationId": operation.id, "tags": [operation.tag], "summary": operation.summary,
        "description": format!("Takes the right `{}`, which these roles have: {}.", route.right, grades.join(", ")),
        "parameters": parameters, "responses": answers(operation),
    });
    if let Some(schema) = operation.body {
        told["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": reference(schema) } } });
    }
    told
}

/// The document.
pub(crate) fn openapi(table: &[Route]) -> Vec<u8> {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for (route, operation) in table.iter().filter_map(|route| Some((route, route.operation.as_ref()?))) {
        let methods = paths.entry(route.path).or_default();
        methods.insert(route.method.as_str().to_lowercase(), described(route, operation));
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Fairban", "version": env!("CARGO_PKG_VERSION"),
            "description": "What Fairban knows and does. Make a token with `fairban token create`.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": schema::all(),
        },
    });
    document.to_string().into_bytes()
}
