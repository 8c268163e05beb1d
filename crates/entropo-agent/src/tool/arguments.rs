//! Arguments as a model writes them, and what to tell it when they do not fit.
//!
//! Some dialects know only text, and models quote numbers in the others too. A string where the schema wants something
//! else is therefore read as JSON first; only what still does not fit is refused, in one line that says how to mend it.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{CallError, ToolboxError};

/// More faults than this in one call are not told.
const FAULTS_TOLD: usize = 4;
/// Longer values are cut when they are quoted.
const QUOTE_CHARS: usize = 60;

/// The JSON Schema of `A`: inlined, without `$schema` and title, and refusing arguments that it does not name.
fn schema_of<A: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<A>();
    schema.remove("title");
    let composed = ["oneOf", "anyOf", "allOf"].iter().any(|keyword| schema.get(*keyword).is_some());
    let object = schema.ensure_object();
    if !composed {
        object.entry("properties").or_insert_with(|| json!({}));
        object.entry("additionalProperties").or_insert(Value::Bool(false));
    }
    schema.to_value()
}

/// A compiled schema, and the tool that it belongs to.
pub(crate) struct Arguments {
    tool: String,
    schema: Value,
    validator: Validator,
}

impl Arguments {
    /// Arguments of the type `A`, and their schema.
    pub(crate) fn of<A: JsonSchema>(tool: &str) -> Result<(Value, Self), ToolboxError> {
        let schema = schema_of::<A>();
        Ok((schema.clone(), Self::new(tool, schema)?))
    }

    pub(crate) fn new(tool: &str, schema: Value) -> Result<Self, ToolboxError> {
        let validator = jsonschema::validator_for(&schema)
            .map_err(|error| ToolboxError::Schema { name: tool.to_owned(), reason: error.to_string() })?;
        Ok(Self { tool: tool.to_owned(), validator, schema })
    }

    /// The typed arguments, or every fault (up to a few) in one line.
    pub(crate) fn read<A: DeserializeOwned>(&self, written: &Value) -> Result<A, CallError> {
        self.fit(written).map_err(|why| CallError::Invalid(format!("Invalid arguments for {}: {why}.", self.tool)))
    }

    fn fit<A: DeserializeOwned>(&self, written: &Value) -> Result<A, String> {
        let value = coerce(written, &self.schema);
        let mut errors: Vec<_> = self.validator.iter_errors(&value).collect();
        if errors.is_empty() {
            return serde_json::from_value(value).map_err(|error| error.to_string());
        }
        // An unknown name first: it often explains why another argument is missing.
        errors.sort_by_key(|error| !matches!(error.kind(), ValidationErrorKind::AdditionalProperties { .. }));
        let faults: Vec<_> = errors.iter().take(FAULTS_TOLD).map(|error| self.explain(error)).collect();
        Err(faults.join("; "))
    }

    fn properties(&self) -> Option<&Map<String, Value>> {
        properties(&self.schema)
    }

    fn explain(&self, error: &ValidationError<'_>) -> String {
        let path = error.instance_path().as_str();
        let place = match path.trim_start_matches('/') {
            "" => "the whole of the arguments".to_owned(),
            path => format!("\"{}\"", path.replace('/', ".")),
        };
        let got = quote(error.instance());
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let allowed = match self.properties() {
                    Some(properties) if path.is_empty() && !properties.is_empty() => {
                        format!("; the arguments are {}", list(properties.keys()))
                    }
                    _ if path.is_empty() => "; it takes none".to_owned(),
                    _ => format!(" of {place}"),
                };
                format!("{} is not an argument{allowed}", list(unexpected))
            }
            ValidationErrorKind::Required { property } if path.is_empty() => format!("{property} is required"),
            ValidationErrorKind::Required { property } => format!("{property} is required in {place}"),
            ValidationErrorKind::Type { kind } => format!("{place} must be {}, got {got}", type_name(kind)),
            ValidationErrorKind::Enum { options } => format!("{place} must be one of {options}, got {got}"),
            ValidationErrorKind::AnyOf { .. }
            | ValidationErrorKind::OneOfNotValid { .. }
            | ValidationErrorKind::OneOfMultipleValid { .. } => {
                match self.schema.pointer(error.schema_path().as_str()).and_then(alternatives) {
                    Some(allowed) => format!("{place} must be one of {allowed}, got {got}"),
                    None => format!("{place} fits no form of it, got {got}"),
                }
            }
            _ => format!("{place} is wrong: {error}"),
        }
    }
}

/// Arguments with strings read as what their JSON Schema wants, where they can be; the rest stays as `written`.
pub fn coerce(written: &Value, schema: &Value) -> Value {
    let mut value = coerce_value(written, schema, schema);
    if let (Some(arguments), Some(properties)) = (value.as_object_mut(), properties(schema)) {
        for (name, argument) in arguments {
            if let Some(wanted) = properties.get(name) {
                *argument = coerce_value(argument, wanted, schema);
            }
        }
    }
    value
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

/// A string as the first wanted type that it spells, anything else unchanged.
fn coerce_value(value: &Value, schema: &Value, root: &Value) -> Value {
    let Value::String(text) = value else { return value.clone() };
    let mut wanted = Vec::new();
    collect_types(schema, root, &mut wanted, 0);
    if wanted.is_empty() || wanted.contains(&"string") {
        return value.clone();
    }
    let spelt = match text.trim() {
        "True" => Some(Value::Bool(true)),
        "False" => Some(Value::Bool(false)),
        "None" => Some(Value::Null),
        text => serde_json::from_str::<Value>(text).ok(),
    };
    spelt.filter(|spelt| wanted.iter().any(|name| is_type(spelt, name))).unwrap_or_else(|| value.clone())
}

/// Adds the JSON types that `schema` accepts.
fn collect_types<'a>(schema: &'a Value, root: &'a Value, types: &mut Vec<&'a str>, depth: usize) {
    if depth > 8 {
        return; // a schema that refers to itself
    }
    match schema.get("type") {
        Some(Value::String(name)) => types.push(name),
        Some(Value::Array(names)) => types.extend(names.iter().filter_map(Value::as_str)),
        _ => {}
    }
    let referred = schema.get("$ref").and_then(Value::as_str).and_then(|path| root.pointer(path.strip_prefix('#')?));
    let members = ["anyOf", "oneOf"].iter().filter_map(|keyword| schema.get(*keyword)?.as_array()).flatten();
    for member in members.chain(referred) {
        collect_types(member, root, types, depth + 1);
    }
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => false,
    }
}

/// The constants among the members of a `oneOf` or `anyOf`, if it is an enumeration.
fn alternatives(members: &Value) -> Option<String> {
    let mut constants = Vec::new();
    for member in members.as_array()? {
        constants.extend(member.get("const"));
        constants.extend(member.get("enum").and_then(Value::as_array).into_iter().flatten());
    }
    let constants: Vec<_> = constants.iter().map(ToString::to_string).collect();
    (!constants.is_empty()).then(|| constants.join(", "))
}

/// The wanted types; null goes without saying, for it means leaving the argument out.
fn type_name(kind: &TypeKind) -> String {
    let names: Vec<_> = match kind {
        TypeKind::Single(single) => vec![single.to_string()],
        TypeKind::Multiple(set) => set.iter().map(|name| name.to_string()).filter(|name| name != "null").collect(),
    };
    let article = |name: &String| if name.starts_with(['a', 'i', 'o']) { "an" } else { "a" };
    names.iter().map(|name| format!("{} {name}", article(name))).collect::<Vec<_>>().join(" or ")
}

fn quote(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(QUOTE_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn list<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Command {
        View,
        /// Makes a file.
        Create,
    }

    /// Edits.
    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    struct Edit {
        command: Command,
        path: String,
        insert_line: Option<i64>,
        view_range: Option<Vec<usize>>,
        force: Option<bool>,
    }

    fn read(value: Value) -> Result<Edit, String> {
        Arguments::of::<Edit>("edit").unwrap().1.fit(&value)
    }

    #[test]
    fn the_schema_refuses_unknown_names_and_carries_no_clutter() {
        let schema = schema_of::<Edit>();
        assert_eq!(schema["additionalProperties"], json!(false));
        assert!(schema.get("title").is_none() && schema.get("$schema").is_none() && schema.get("$defs").is_none());
    }

    #[test]
    fn strings_are_read_as_what_is_wanted() {
        let edit = read(json!({
            "command": "view", "path": "12", "insert_line": " 3\n", "view_range": "[1, 2]", "force": "True"
        }))
        .unwrap();
        assert_eq!(edit.path, "12", "a string stays one where a string is wanted");
        assert_eq!((edit.insert_line, edit.view_range, edit.force), (Some(3), Some(vec![1, 2]), Some(true)));
        let whole = read(json!("{\"command\": \"create\", \"path\": \"a\"}")).unwrap();
        assert_eq!(whole.command, Command::Create);
    }

    #[test]
    fn faults_are_told_in_one_line() {
        let fault = |value| read(value).unwrap_err();
        assert_eq!(fault(json!({"command": "view"})), "\"path\" is required");
        assert_eq!(
            fault(json!({"command": "view", "path": "a", "insert_line": "abc"})),
            "\"insert_line\" must be an integer, got \"abc\""
        );
        assert_eq!(
            fault(json!({"command": "view", "file": "a"})),
            "\"file\" is not an argument; the arguments are \"command\", \"path\", \"insert_line\", \"view_range\", \
             \"force\"; \"path\" is required"
        );
        assert_eq!(
            fault(json!({"command": "delete", "path": "a"})),
            "\"command\" must be one of \"view\", \"create\", got \"delete\""
        );
        assert_eq!(fault(json!("gibberish")), "the whole of the arguments must be an object, got \"gibberish\"");
        assert!(fault(json!({"command": "view", "path": "a", "view_range": [-1]})).contains("view_range.0"));
    }
}
