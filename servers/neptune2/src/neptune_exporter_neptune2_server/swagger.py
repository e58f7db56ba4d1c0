"""The swagger documents that the client builds itself from.

Only the operations that reading needs, named as the client calls them (see
`neptune.internal.backends.hosted_client` and `hosted_neptune_backend`), plus
`getChannelValues`, which a Neptune server has and the client does not call: the
only place that gives steps and times of an image series.

Each document names this server as its host: bravado sends requests to the host
that the document names, wherever it was loaded from.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

Document = dict[str, Any]

LEADERBOARD = "/api/leaderboard/v1"

# Operation, method, path, what it answers, parameters.
# A parameter is `name`, `name:format`, `name@header`, `name@path`, `name@body` or `name[]`, with a `?` if it
# may be left out. ATTRIBUTE and PAGE stand for the pairs that most operations share.
_SHARED = {"ATTRIBUTE": "experimentId attribute", "PAGE": "limit:int32? offset:int32?"}
_BACKEND = """
    getClientConfig get /clients/config ClientConfig X-Neptune-Api-Token@header alpha?
    exchangeApiToken get /authorization/oauth-token NeptuneOauthToken X-Neptune-Api-Token@header
    getProject get /projects/get Project projectIdentifier
    listOrganizations get /myOrganizations Organization[]
    listProjects get /projects ProjectList PAGE \
        organizationIdentifier? userRelation? searchTerm? sortBy[]? sortDirection[]?
"""
_LEADERBOARD = """
    getExperiment get /experiments Experiment experimentId
    getExperimentAttributes get /attributes ExperimentAttributes experimentId
    getFloatAttribute get /attributes/floats FloatAttribute ATTRIBUTE
    getIntAttribute get /attributes/integers IntAttribute ATTRIBUTE
    getBoolAttribute get /attributes/booleans BoolAttribute ATTRIBUTE
    getStringAttribute get /attributes/strings StringAttribute ATTRIBUTE
    getDatetimeAttribute get /attributes/datetimes DatetimeAttribute ATTRIBUTE
    getStringSetAttribute get /attributes/stringSets StringSetAttribute ATTRIBUTE
    getFloatSeriesAttribute get /attributes/floatSeries FloatSeriesAttribute ATTRIBUTE
    getStringSeriesAttribute get /attributes/stringSeries StringSeriesAttribute ATTRIBUTE
    getFileAttribute get /attributes/files FileAttribute ATTRIBUTE
    getArtifactAttribute get /attributes/artifacts ArtifactAttribute ATTRIBUTE
    getFloatSeriesValues get /attributes/series/float FloatSeriesValues ATTRIBUTE PAGE
    getStringSeriesValues get /attributes/series/string StringSeriesValues ATTRIBUTE PAGE
    getImageSeriesValues get /attributes/series/image ImageSeriesValues ATTRIBUTE PAGE
    getImageSeriesValue get /attributes/series/image/single file ATTRIBUTE index:int32
    downloadAttribute get /attributes/download file ATTRIBUTE path?
    lsFileSetAttribute get /attributes/ls FileEntry[] ATTRIBUTE path
    prepareForDownloadFileSetAttributeZip post /attributes/downloadFileSetZipRequest DownloadRequest ATTRIBUTE
    getDownloadPrepareRequest get /download/downloadRequest DownloadRequest id
    searchLeaderboardEntries post /leaderboard/entries/search LeaderboardEntries \
        projectIdentifier type[]? params@body
    searchLeaderboardAttributes post /leaderboard/attributes/search AttributeDefinitions \
        projectIdentifier search? type[]? limit:int32? params@body
"""
_CHANNELS = """
    getChannelValues get /channels/{channelId}/values Channel channelId@path PAGE
"""
_ARTIFACTS = """
    listArtifactFiles get /artifact/files ArtifactFiles projectIdentifier hash
"""

_NUMERIC = {"double": "number", "int32": "integer", "int64": "integer"}

# Fields of the answers: a format, `string`, `boolean`, `date-time`, the name of another one, or a list of it.
_ATTRIBUTE = "attributeName:string attributeType:string"
_IN_PROJECT = "organizationId:string organizationName:string projectId:string projectName:string"
_FIELDS: dict[str, str] = {
    "Artifacts": "enabled:boolean apiVersion:int32",
    "Versions": "minRecommendedVersion:string minCompatibleVersion:string maxCompatibleVersion:string",
    "MultiPartUpload": """enabled:boolean minChunkSize:int32 maxChunkSize:int32 maxChunkCount:int32
        maxSinglePartSize:int32""",
    "ClientConfig": """apiUrl:string applicationUrl:string pyLibVersions:Versions artifacts:Artifacts
        multiPartUpload:MultiPartUpload""",
    "NeptuneOauthToken": "accessToken:string refreshToken:string username:string",
    "Project": """id:string name:string organizationId:string organizationName:string projectKey:string
        version:int32 archived:boolean userRoleInProject:string visibility:string""",
    "ProjectList": "entries:Project[] matchingItemCount:int32 totalItemCount:int32",
    "Organization": "id:string name:string",
    "Experiment": f"id:string shortId:string type:string trashed:boolean parentId:string {_IN_PROJECT}",
    "ExperimentAttributes": f"id:string trashed:boolean attributes:Attribute[] {_IN_PROJECT}",
    "FloatAttribute": f"{_ATTRIBUTE} value:double",
    "IntAttribute": f"{_ATTRIBUTE} value:int32",
    "BoolAttribute": f"{_ATTRIBUTE} value:boolean",
    "StringAttribute": f"{_ATTRIBUTE} value:string",
    "DatetimeAttribute": f"{_ATTRIBUTE} value:date-time",
    "ExperimentStateAttribute": f"{_ATTRIBUTE} value:string",
    "StringSetAttribute": f"{_ATTRIBUTE} values:string[]",
    "FloatSeriesAttribute": f"""{_ATTRIBUTE} last:double lastStep:double min:double max:double average:double
        variance:double config:SeriesConfig""",
    "SeriesConfig": "min:double max:double unit:string",
    "StringSeriesAttribute": f"{_ATTRIBUTE} last:string lastStep:double",
    "ImageSeriesAttribute": f"{_ATTRIBUTE} channelId:string lastStep:double",
    "FileAttribute": f"{_ATTRIBUTE} name:string ext:string size:int64",
    "FileSetAttribute": f"{_ATTRIBUTE} size:int64",
    "ArtifactAttribute": f"{_ATTRIBUTE} hash:string",
    "GitCommit": "commitId:string message:string authorName:string authorEmail:string commitDate:date-time",
    "GitRefAttribute": f"""{_ATTRIBUTE} commit:GitCommit currentBranch:string remotes:string[]
        repositoryDirty:boolean""",
    "NotebookRefAttribute": f"""{_ATTRIBUTE} notebookId:string notebookName:string notebookDeleted:boolean
        checkpointId:string checkpointName:string""",
    "Attribute": """name:string type:string floatProperties:FloatAttribute intProperties:IntAttribute
        boolProperties:BoolAttribute stringProperties:StringAttribute datetimeProperties:DatetimeAttribute
        experimentStateProperties:ExperimentStateAttribute stringSetProperties:StringSetAttribute
        floatSeriesProperties:FloatSeriesAttribute stringSeriesProperties:StringSeriesAttribute
        imageSeriesProperties:ImageSeriesAttribute fileProperties:FileAttribute
        fileSetProperties:FileSetAttribute artifactProperties:ArtifactAttribute
        gitRefProperties:GitRefAttribute notebookRefProperties:NotebookRefAttribute""",
    "AttributeDefinition": "name:string type:string",
    "AttributeDefinitions": "entries:AttributeDefinition[]",
    "LeaderboardEntry": f"experimentId:string type:string attributes:Attribute[] {_IN_PROJECT}",
    "LeaderboardEntries": "matchingItemCount:int64 entries:LeaderboardEntry[]",
    "FloatPoint": "timestampMillis:int64 step:double value:double",
    "StringPoint": "timestampMillis:int64 step:double value:string",
    "FloatSeriesValues": "totalItemCount:int32 values:FloatPoint[]",
    "StringSeriesValues": "totalItemCount:int32 values:StringPoint[]",
    "ImageSeriesValues": "totalItemCount:int32",
    "FileEntry": "name:string fileType:string mtime:date-time size:int64",
    "DownloadRequest": "id:string downloadUrl:string",
    "Channel": "channelId:string totalItemCount:int32 values:ChannelPoint[]",
    "ChannelPoint": "timestampMillis:int64 x:double y:ChannelValue",
    "ChannelValue": "imageValue:ChannelImage numericValue:double textValue:string",
    "ChannelImage": "name:string description:string imageUrl:string thumbnailUrl:string",
    "ArtifactFiles": "files:ArtifactFile[]",
    "ArtifactFile": "filePath:string fileHash:string type:string size:int64 metadata:ArtifactMetadata[]",
    "ArtifactMetadata": "key:string value:string",
}


def backend(base_url: str) -> Document:
    return _document(base_url, "Backend", "/api/backend/v1", _BACKEND)


def leaderboard(base_url: str, channels: bool = True) -> Document:
    operations = _LEADERBOARD + (_CHANNELS if channels else "")
    return _document(base_url, "Leaderboard", LEADERBOARD, operations)


def artifacts(base_url: str) -> Document:
    return _document(base_url, "Artifacts", "/api/artifacts/v1", _ARTIFACTS)


def _document(base_url: str, title: str, prefix: str, operations: str) -> Document:
    url = urlsplit(base_url)
    paths: Document = {}
    wanted: list[str] = []
    for line in filter(str.strip, operations.splitlines()):
        name, method, path, answer, *parameters = " ".join(_SHARED.get(x, x) for x in line.split()).split()
        paths.setdefault(prefix + path, {})[method] = {
            "operationId": name,
            "consumes": ["application/json"],
            "produces": ["application/json", "application/octet-stream", "application/zip"],
            "parameters": [_parameter(text) for text in parameters],
            "responses": {"200": {"description": "OK", "schema": _schema(answer)}},
        }
        wanted.append(answer.removesuffix("[]"))
    return {
        "swagger": "2.0",
        "info": {"title": f"{title} API of a local test server", "version": "1"},
        "host": url.netloc,
        "schemes": [url.scheme],
        "basePath": "/",
        "paths": paths,
        "definitions": _definitions(wanted),
    }


def _definitions(wanted: list[str]) -> Document:
    """The named types and all that they refer to."""
    definitions: Document = {}
    while wanted:
        name = wanted.pop()
        if name in _FIELDS and name not in definitions:
            fields = dict(field.split(":") for field in _FIELDS[name].split())
            properties = {field: _schema(kind) for field, kind in fields.items()}
            definitions[name] = {"type": "object", "properties": properties}
            wanted.extend(kind.removesuffix("[]") for kind in fields.values())
    return definitions


def _schema(kind: str) -> Document:
    if kind.endswith("[]"):
        return {"type": "array", "items": _schema(kind.removesuffix("[]"))}
    if kind in _FIELDS:
        return {"$ref": f"#/definitions/{kind}"}
    if kind == "date-time":
        return {"type": "string", "format": kind}
    if kind in _NUMERIC:
        return {"type": _NUMERIC[kind], "format": kind}
    return {"type": kind}


def _parameter(text: str) -> Document:
    required = not text.endswith("?")
    name, _, place = text.removesuffix("?").partition("@")
    name, _, kind = name.partition(":")
    parameter: Document = {"name": name.removesuffix("[]"), "in": place or "query", "required": required}
    if place == "body":
        return {**parameter, "schema": {"type": "object"}}
    if name.endswith("[]"):
        return {**parameter, "type": "array", "items": {"type": "string"}, "collectionFormat": "multi"}
    return {**parameter, **_schema(kind or "string")}
