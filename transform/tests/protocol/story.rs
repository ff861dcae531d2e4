//! What is told of a step: only to whoever listens, because most steps are taken in silence.

/// What is told of a step, when somebody listens.
#[derive(Default)]
pub(crate) struct Story {
    told: Option<String>,
}

impl Story {
    pub(crate) fn listening() -> Self {
        Self { told: Some(String::new()) }
    }

    pub(crate) fn add(&mut self, words: impl FnOnce() -> String) {
        if let Some(told) = &mut self.told {
            told.push_str(": ");
            told.push_str(&words());
        }
    }

    pub(crate) fn told(self) -> String {
        self.told.unwrap_or_default()
    }
}
