use std::fmt;
use std::sync::Arc;

use crate::dialect::Dialect;

/// How a server is told of tools, and how calls come back.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum ToolCalling {
    /// The server knows tools: they are sent as data, and so are calls.
    #[default]
    Native,
    /// The server's template knows tools, but the server may return calls as the model wrote them. If a reply has no calls
    /// as data, its text is read in this dialect.
    NativeOrText(Arc<dyn Dialect>),
    /// The server knows nothing of tools. They are described in the system message ([`Dialect::instructions`]), calls are
    /// text of this dialect, and results are user messages.
    Text(Arc<dyn Dialect>),
}

impl ToolCalling {
    /// The dialect in which text is read, if it is.
    #[cfg_attr(not(feature = "openai"), allow(dead_code))]
    pub(crate) fn dialect(&self) -> Option<&dyn Dialect> {
        match self {
            Self::Native => None,
            Self::NativeOrText(dialect) | Self::Text(dialect) => Some(dialect.as_ref()),
        }
    }
}

impl fmt::Debug for ToolCalling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "Native",
            Self::NativeOrText(_) => "NativeOrText",
            Self::Text(_) => "Text",
        })
    }
}
