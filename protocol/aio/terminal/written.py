"""What is printed for programs."""

from __future__ import annotations

from typing import Any


def as_yaml(data: object) -> str:
    """Return `data` as YAML in block style, in the order in which it came."""
    import io

    from ruamel.yaml import YAML  # large, and seldom asked for

    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.sort_base_mapping_type_on_output, yaml.width = False, False, 120
    yaml.representer.add_multi_representer(dict, yaml.representer.represent_dict.__func__)
    text = io.StringIO()
    yaml.dump(data, text)
    return text.getvalue()
