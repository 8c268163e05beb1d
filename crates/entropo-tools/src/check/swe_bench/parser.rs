//! Which parser reads whose logs.

use super::{
    LogError, RulesError, Statuses, browsers, django, gradle, karma, lines, maven, phpunit, pytest, runners, seaborn,
    suites, sympy,
};

/// One of the harness's log parsers. Some are known there by several names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogParser {
    /// pytest's summary.
    Pytest,
    /// pytest's summary, where parameters that are paths lose their directories.
    PytestOptions,
    /// pytest's summary in colours, or what it prints as it goes along.
    PytestV2,
    /// Django's runner.
    Django,
    /// seaborn's way of calling pytest.
    Seaborn,
    /// sympy's runner.
    Sympy,
    /// pytest's summary, where two mouse buttons are numbers.
    Matplotlib,
    /// redis and valkey.
    Redis,
    /// jq.
    Jq,
    /// MicroPython.
    Micropython,
    /// GoogleTest.
    GoogleTest,
    /// `go test -v`.
    Go,
    /// Maven, a test a call.
    Maven,
    /// Ant with JUnit.
    Ant,
    /// Gradle with a listener.
    Gradle,
    /// Jest, a line for each test.
    Jest,
    /// Jest's JSON, rewritten to a line for each test.
    JestJson,
    /// Vitest, a line for each test.
    Vitest,
    /// Karma.
    Karma,
    /// The Test Anything Protocol.
    Tap,
    /// Jest, a line for each file.
    JestFiles,
    /// Grommet's way of calling Jest.
    Grommet,
    /// marked, failures only.
    Marked,
    /// highlight.js.
    HighlightJs,
    /// Calypso.
    Calypso,
    /// Chart.js, failures only.
    ChartJs,
    /// bpmn-js, failures only.
    BpmnJs,
    /// OpenLayers, failures only.
    OpenLayers,
    /// eslint, failures only.
    Eslint,
    /// PHPUnit.
    PhpUnit,
    /// minitest.
    Minitest,
    /// Cucumber.
    Cucumber,
    /// test-unit.
    RubyUnit,
    /// RSpec's JSON, rewritten to a line for each test.
    Rspec,
    /// `cargo test`.
    Cargo,
}

impl LogParser {
    /// The parser that a row calls by this name. Two names stand for several parsers, which the instance's number tells
    /// apart.
    ///
    /// # Errors
    /// [`RulesError::Parser`] for a name that is not known here.
    pub fn named(name: &str, instance_id: &str) -> Result<Self, RulesError> {
        let piece = |which: Option<&str>| which.unwrap_or_default().to_owned();
        Ok(match name.strip_prefix("parse_log_").unwrap_or_default() {
            "pytest" | "astroid" | "flask" | "marshmallow" | "pvlib" | "pyvista" | "sqlfluff" | "xarray" => {
                Self::Pytest
            }
            "pytest_options" | "pydicom" | "requests" | "pylint" => Self::PytestOptions,
            "pytest_v2" | "astropy" | "scikit" | "sphinx" => Self::PytestV2,
            "django" => Self::Django,
            "seaborn" => Self::Seaborn,
            "sympy" => Self::Sympy,
            "matplotlib" => Self::Matplotlib,
            "redis" => Self::Redis,
            "jq" => Self::Jq,
            "micropython_test" => Self::Micropython,
            "googletest" => Self::GoogleTest,
            "gotest" => Self::Go,
            "maven" => Self::Maven,
            "ant" => Self::Ant,
            "gradle_custom" => Self::Gradle,
            "jest" => Self::Jest,
            "jest_json" => Self::JestJson,
            "vitest" => Self::Vitest,
            "karma" => Self::Karma,
            "tap" => Self::Tap,
            "react_pdf" | "carbon" => Self::JestFiles,
            "grommet" => Self::Grommet,
            "marked" => Self::Marked,
            "highlightjs" => Self::HighlightJs,
            "calypso" => Self::Calypso,
            "chart_js" => Self::ChartJs,
            "bpmn_js" => Self::BpmnJs,
            "openlayers" => Self::OpenLayers,
            "eslint" => Self::Eslint,
            "phpunit" => Self::PhpUnit,
            "minitest" => Self::Minitest,
            "cucumber" => Self::Cucumber,
            "ruby_unit" => Self::RubyUnit,
            "rspec_transformed_json" => Self::Rspec,
            "cargo" => Self::Cargo,
            "immutable_js" => match &*piece(instance_id.rsplit('-').next()) {
                "2006" => Self::Jest,
                "2005" => Self::JestJson,
                _ => return Err(RulesError::Parser { name: format!("{name} for {instance_id}") }),
            },
            "jekyll" => match &*piece(instance_id.split('-').nth(1)) {
                "9141" | "8047" | "8167" => Self::Minitest,
                "8761" | "8771" => Self::Cucumber,
                _ => return Err(RulesError::Parser { name: format!("{name} for {instance_id}") }),
            },
            _ => return Err(RulesError::Parser { name: name.to_owned() }),
        })
    }

    /// The parser for a repository, for rows that name none.
    ///
    /// # Errors
    /// [`RulesError::Repository`] for one that is not known here.
    pub fn for_repository(repository: &str, instance_id: &str) -> Result<Self, RulesError> {
        let name = match repository {
            "marshmallow-code/marshmallow"
            | "pallets/flask"
            | "pvlib/pvlib-python"
            | "pydata/xarray"
            | "pylint-dev/astroid"
            | "pytest-dev/pytest"
            | "pyvista/pyvista"
            | "sqlfluff/sqlfluff" => "pytest",
            "psf/requests" | "pydicom/pydicom" | "pylint-dev/pylint" => "pytest_options",
            "astropy/astropy" | "scikit-learn/scikit-learn" | "sphinx-doc/sphinx" => "pytest_v2",
            "django/django" => "django",
            "matplotlib/matplotlib" => "matplotlib",
            "mwaskom/seaborn" => "seaborn",
            "sympy/sympy" => "sympy",
            "redis/redis" | "valkey-io/valkey" => "redis",
            "jqlang/jq" => "jq",
            "micropython/micropython" => "micropython_test",
            "fmtlib/fmt" => "googletest",
            "caddyserver/caddy"
            | "hashicorp/terraform"
            | "prometheus/prometheus"
            | "gohugoio/hugo"
            | "gin-gonic/gin" => "gotest",
            "google/gson" | "apache/druid" | "javaparser/javaparser" => "maven",
            "projectlombok/lombok" => "ant",
            "apache/lucene" | "reactivex/rxjava" => "gradle_custom",
            "babel/babel" | "facebook/docusaurus" => "jest",
            "vuejs/core" => "vitest",
            "immutable-js/immutable-js" => "immutable_js",
            "mrdoob/three.js" | "axios/axios" => "tap",
            "preactjs/preact" => "karma",
            "diegomura/react-pdf"
            | "carbon-design-system/carbon"
            | "prettier/prettier"
            | "scratchfoundation/scratch-gui" => "carbon",
            "grommet/grommet" => "grommet",
            "markedjs/marked" => "marked",
            "highlightjs/highlight.js" => "highlightjs",
            "Automattic/wp-calypso" => "calypso",
            "chartjs/Chart.js" => "chart_js",
            "bpmn-io/bpmn-js" => "bpmn_js",
            "openlayers/openlayers" => "openlayers",
            "eslint/eslint" => "eslint",
            "phpoffice/phpspreadsheet" | "laravel/framework" | "php-cs-fixer/php-cs-fixer" | "briannesbitt/carbon" => {
                "phpunit"
            }
            "jekyll/jekyll" => "jekyll",
            "fluent/fluentd" | "faker-ruby/faker" => "ruby_unit",
            "fastlane/fastlane" | "jordansissel/fpm" | "rubocop/rubocop" => "rspec_transformed_json",
            "burntsushi/ripgrep" | "sharkdp/bat" | "astral-sh/ruff" | "tokio-rs/tokio" | "uutils/coreutils"
            | "nushell/nushell" | "tokio-rs/axum" => "cargo",
            _ => return Err(RulesError::Repository { repository: repository.to_owned() }),
        };
        Self::named(&format!("parse_log_{name}"), instance_id)
    }

    /// What the parser makes of a log without markers, whose lines end with a newline only.
    ///
    /// # Errors
    /// [`LogError::Breaks`] where the harness's parser breaks.
    pub fn parse(self, log: &str) -> Result<Statuses, LogError> {
        match self {
            Self::Pytest => Ok(pytest::summary(log, pytest::Names::Whole)),
            Self::PytestOptions => Ok(pytest::summary(log, pytest::Names::WithoutDirectories)),
            Self::Matplotlib => Ok(pytest::summary(log, pytest::Names::WithNumberedButtons)),
            Self::PytestV2 => pytest::lines(log),
            Self::Django => django::parse(log),
            Self::Seaborn => Ok(seaborn::parse(log)),
            Self::Sympy => sympy::parse(log),
            Self::Maven => maven::parse(log),
            Self::Gradle => gradle::parse(log),
            Self::Karma => karma::parse(log),
            Self::HighlightJs => suites::highlight_js(log),
            Self::Calypso => suites::calypso(log),
            Self::ChartJs => browsers::chart_js(log),
            Self::BpmnJs => browsers::bpmn_js(log),
            Self::OpenLayers => browsers::openlayers(log),
            Self::Eslint => browsers::eslint(log),
            Self::PhpUnit => phpunit::parse(log),
            Self::Grommet => runners::grommet(log),
            Self::Marked => runners::marked(log),
            Self::JestFiles => runners::files(log),
            Self::Redis => lines::parse(log, &lines::REDIS),
            Self::Jq => lines::parse(log, &lines::JQ),
            Self::Micropython => lines::parse(log, &lines::MICROPYTHON),
            Self::GoogleTest => lines::parse(log, &lines::GOOGLE_TEST),
            Self::Go => lines::parse(log, &lines::GO),
            Self::Ant => lines::parse(log, &lines::ANT),
            Self::Jest => lines::parse(log, &lines::JEST),
            Self::JestJson => lines::parse(log, &lines::JEST_JSON),
            Self::Vitest => lines::parse(log, &lines::VITEST),
            Self::Tap => lines::parse(log, &lines::TAP),
            Self::Minitest => lines::parse(log, &lines::MINITEST),
            Self::Cucumber => lines::parse(log, &lines::CUCUMBER),
            Self::RubyUnit => lines::parse(log, &lines::RUBY_UNIT),
            Self::Rspec => lines::parse(log, &lines::RSPEC),
            Self::Cargo => lines::parse(log, &lines::CARGO),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsers_are_found_by_name_by_repository_and_by_number() {
        assert_eq!(LogParser::named("parse_log_sphinx", "").unwrap(), LogParser::PytestV2);
        assert_eq!(LogParser::for_repository("psf/requests", "").unwrap(), LogParser::PytestOptions);
        let jekyll = |number: &str| LogParser::named("parse_log_jekyll", &format!("jekyll__jekyll-{number}"));
        assert_eq!(jekyll("8761").unwrap(), LogParser::Cucumber);
        assert_eq!(jekyll("9141").unwrap(), LogParser::Minitest);
        assert!(matches!(jekyll("1"), Err(RulesError::Parser { .. })));
        assert!(matches!(LogParser::named("parse_log_quarto_cli", ""), Err(RulesError::Parser { .. })));
        assert!(matches!(LogParser::for_repository("a/b", ""), Err(RulesError::Repository { .. })));
    }
}
